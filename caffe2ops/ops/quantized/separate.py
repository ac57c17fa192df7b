"""Row-wise quantised matrices whose scales and biases are a tensor of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator, row
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.quantized.lookup import Lookup
from caffe2ops.ops.segment.lengths_reduce import as_matrix, checked_lengths

DOCS = {
    "quantized_input": "quantised rows",
    "scale_bias": "[N, 2]: scale and bias of each row",
    "DATA": "quantised rows",
    "SCALARS": "a weight for each index",
    "INDICES": "rows of DATA",
    "LENGTHS": "how many of them each segment has",
    "output": "a row of floats for each segment",
}


def restored(rows: np.ndarray, scale_bias: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The float32 rows."""
    real = np.multiply(rows, scale_bias[:, :1], out=out, dtype=np.float32)
    real += scale_bias[:, 1:]
    return real


class FloatToRowwiseQuantized8Bits(Operator):
    """Rows along the first dim quantised to 8 bits: scale = (greatest - least) / 255, or 1, bias = least.

    Caffe2: operators/lengths_reducer_rowwise_8bit_ops.
    """

    contract = "input: float32[N, ...] -> quantized_input: uint8[N, ...], scale_bias: float32[N, 2]"
    docs = {"input": "rows of any shape", **DOCS}
    gradient = NO_GRADIENT

    def run_cpu(self, x: np.ndarray) -> Any:
        rows, quantized, scale_bias = self._buffers(x)
        low, high = rows.min(axis=1), rows.max(axis=1)
        extent = high - low
        scale_bias[:, 0] = np.where(extent == 0, np.float32(1), extent / np.float32(255))
        scale_bias[:, 1] = low
        as_matrix(quantized)[...] = np.rint((rows - low[:, None]) / scale_bias[:, :1])
        return quantized, scale_bias

    def run_cuda(self, x: Any) -> Any:
        from caffe2ops.ops.quantized import codec_cuda

        rows, quantized, scale_bias = self._buffers(x)
        codec_cuda.encode_apart(rows, as_matrix(quantized), scale_bias)
        return quantized, scale_bias

    def _buffers(self, x: Any) -> tuple[Any, Any, Any]:
        """The rows, and what is made of them."""
        rows = as_matrix(x)
        if rows.size == 0:
            raise ValueError(f"input: shape is {list(x.shape)}, wants rows with elements")
        return rows, self.out(0, x.shape, np.uint8), self.out(1, (len(x), 2), np.float32)


class Rowwise8BitQuantizedToFloat(Operator):
    """output = quantized_input * scale + bias, row by row. Caffe2: operators/lengths_reducer_rowwise_8bit_ops."""

    contract = "quantized_input: uint8[N, ...], scale_bias: float32[N, 2] -> output: float32[N, ...]"
    docs = DOCS | {"output": "the rows as floats"}
    gradient = NO_GRADIENT

    def run_cpu(self, quantized: np.ndarray, scale_bias: np.ndarray) -> Any:
        out = self.out(0, quantized.shape, np.float32)
        restored(as_matrix(quantized), scale_bias, as_matrix(out))
        return out

    def run_cuda(self, quantized: Any, scale_bias: Any) -> Any:
        from caffe2ops.ops.quantized import lookup_cuda

        out = self.out(0, quantized.shape, np.float32)
        return lookup_cuda.decode(lookup_cuda.separate_layout(quantized, scale_bias), out)


class SeparateLookup(Lookup):
    """Base: sums over rows of DATA with their scales and biases in the last input."""

    def infer(self, data: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        return TensorSpec((*rest[-2].shape, *data.shape[1:]), np.dtype(np.float32))

    def run_cpu(self, data: np.ndarray, *rest: np.ndarray) -> Any:
        *weights, indices, lengths, scale_bias = rest
        used, position = np.unique(checked_indices(indices, len(data)), return_inverse=True)
        table = restored(as_matrix(data)[used], scale_bias[used])
        out = self.out(0, (len(lengths), *data.shape[1:]), np.float32)
        self.fold(table, position, lengths, weights[0] if weights else None, as_matrix(out))
        return out

    def run_cuda(self, data: Any, *rest: Any) -> Any:
        from caffe2ops.ops.quantized import lookup_cuda

        *weights, indices, lengths, scale_bias = rest
        out = self.out(0, (len(lengths), *data.shape[1:]), np.float32)

        def check(lengths: np.ndarray, indices: np.ndarray) -> None:
            checked_indices(indices, len(data))
            checked_lengths(lengths, len(indices), "INDICES")

        rows, factors = lookup_cuda.separate_layout(data, scale_bias), weights[0] if weights else None
        return lookup_cuda.lookup(rows, indices, lengths, factors, None, self.mean, out, check)


for _kind in ("Sum", "Mean", "WeightedSum", "WeightedMean"):
    _weighted = _kind.startswith("Weighted")
    row(
        f"SparseLengths{_kind}8BitsRowwise",
        f"SparseLengths{_kind} of rows of 8 bits with scales and biases beside them: the "
        f"{'mean' if 'Mean' in _kind else 'sum'} of each segment{', weighted' * _weighted}. Raises IndexError for an "
        "index that is no row. Caffe2: operators/lengths_reducer_rowwise_8bit_ops.",
        SeparateLookup,
        contract=f"DATA: uint8[R, ...], {'SCALARS: float32[K], ' * _weighted}INDICES: integer[K], LENGTHS: int32[N], "
        "scale_bias: float32[R, 2] -> output: float32[?]",
        docs=DOCS,
        mean="Mean" in _kind,
    )
