"""SequenceMask: elements beyond the length of a sequence, outside a window or off a triangle replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import canonical_axis, size

# mode -> which columns are masked, given the row numbers and the column numbers
_TRIANGLES: dict[str, Callable[[Any, Any], Any]] = {
    "upper": lambda row, column: column > row,
    "lower": lambda row, column: column < row,
    "upperdiag": lambda row, column: column >= row,
    "lowerdiag": lambda row, column: column <= row,
}


class SequenceMask(Operator):
    """The input seen as rows (dims before `axis`) of columns (the others), with fill_val, or 0 with `grad`, for columns
    that are masked.

    `sequence`: those at or beyond the row's sequence length. `window`: those farther than `radius` from the row's
    element of sequence_lengths. `upper`, `lower`: those greater, less than the number of the row; `upperdiag`,
    `lowerdiag`: and the equal one. Rows count anew for each element of the dims up to `batch`, where given; columns
    that agree before repeat_from_axis have one number. Raises ValueError where there are fewer sequence lengths than
    rows. Caffe2: operators/boolean_mask_ops.
    """

    contract = "input: float, sequence_lengths?: int32[S] -> masked_tensor: input"
    docs = {
        "input": "a tensor of at least two dimensions, or one with axis 0",
        "sequence_lengths": "a length, or the middle of the window, for each row",
        "masked_tensor": "like input",
    }
    gradient = "SequenceMask(dmasked_tensor, sequence_lengths?, grad=1) -> dinput"
    mode: str = Arg(choices=("sequence", "window", *_TRIANGLES), doc="what is masked")
    axis: int = Arg(1, doc="the first dim of the columns")
    grad: bool = Arg(False, doc="whether masked elements are 0, as in a gradient")
    fill_val: float = Arg(-np.inf, doc="what stands for masked elements")
    radius: int = Arg(10, doc="how far a window reaches to each side")
    batch: int = Arg(None, doc="the last dim of those that do not count as rows; before axis")
    repeat_from_axis: int = Arg(None, doc="columns are numbered up to this axis only; for mode sequence")

    def infer(self, x: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        self._layout(x.shape)
        return x

    def _layout(self, shape: tuple[Any, ...]) -> tuple[Any, Any, Any, Any]:
        """The sizes of batch, rows, columns and the repetitions of a column."""
        axis = canonical_axis(self.axis, len(shape))
        first = 0 if self.batch is None else canonical_axis(self.batch, len(shape), "batch") + 1
        if first > axis:
            raise ValueError(f"batch = {self.batch}, wants less than axis = {self.axis}")
        repeat = len(shape)
        if self.repeat_from_axis is not None:
            repeat = canonical_axis(self.repeat_from_axis, len(shape), "repeat_from_axis")
            if self.mode != "sequence":
                raise ValueError(f"repeat_from_axis = {self.repeat_from_axis}, but mode = {self.mode}, wants sequence")
            if repeat < axis:
                raise ValueError(f"repeat_from_axis = {self.repeat_from_axis}, wants axis = {self.axis} or more")
        return size(shape[:first]), size(shape[first:axis]), size(shape[axis:repeat]), size(shape[repeat:])

    def run_cpu(self, x: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        layout = self._layout(x.shape)
        _, rows, columns, _ = layout
        out = self.out(0, x.shape, x.dtype)
        masked = self._masked(np.arange(rows)[:, None], np.arange(columns), lengths)[:, :, None]
        out.reshape(layout)[...] = np.where(masked, x.dtype.type(0 if self.grad else self.fill_val), x.reshape(layout))
        return out

    def run_cuda(self, x: Any, lengths: Any = None) -> Any:
        from caffe2ops.ops.segment import sequence_mask_cuda

        layout = self._layout(x.shape)
        self._check_lengths(layout[1], lengths)
        filling = float(x.dtype.type(0 if self.grad else self.fill_val))
        out = self.out(0, x.shape, x.dtype)
        return sequence_mask_cuda.mask(self.mode, x, lengths, layout, self.radius, filling, out)

    def _check_lengths(self, rows: int, lengths: Any) -> None:
        if self.mode not in _TRIANGLES and (lengths is None or len(lengths) < rows):
            has = "is missing" if lengths is None else f"has {len(lengths)} elements"
            raise ValueError(f"sequence_lengths: {has}, wants one for each of {rows} rows")

    def _masked(self, row: np.ndarray, column: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        masked: np.ndarray
        if self.mode in _TRIANGLES:
            masked = _TRIANGLES[self.mode](row, column)
            return masked
        self._check_lengths(len(row), lengths)
        assert lengths is not None
        of_row = lengths[: len(row), None].astype(np.int64)
        masked = column >= of_row if self.mode == "sequence" else np.abs(column - of_row) > self.radius
        return masked
