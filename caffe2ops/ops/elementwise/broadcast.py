"""Operators of two tensors that need not have the same shape: Caffe2's two broadcasting rules, and factories for rows.

NumPy's rule is the default. The older one (`broadcast=1`) views B as part of A's dims: from `axis` on, or the last ones
if no axis is given; the result has A's shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.cuda import Reduction
from caffe2ops.errors import SchemaError
from caffe2ops.infer import Cost, TensorSpec, Unknown
from caffe2ops.operator import Arg, NonGradient, Operator, Step, row
from caffe2ops.ops.elementwise.rows import call, kernel

Shape = tuple[int, ...]


class Placing(Operator):
    """The older rule: B is a part of A's dims."""

    axis: int = Arg(-1, doc="the dim of A that B's first dim is; -1: B's last dim is A's last")
    axis_str: str = Arg("", doc="axis given as a letter of order")
    order: str = Arg("NCHW", doc="the letters of A's dims, for axis_str")
    broadcast: bool = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        letter = repr(self.axis_str)
        if self.broadcast and self.axis_str and self.axis != -1:
            raise SchemaError(f"{self.type}: axis = {self.axis} and axis_str = {letter}, wants one of them")
        if self.broadcast and self.axis_str and (len(self.axis_str) != 1 or self.axis_str not in self.order):
            raise SchemaError(f"{self.type}: axis_str = {letter}, wants one letter of order = {self.order!r}")

    def placed(self, a: Shape, b: Shape) -> Shape:
        """The shape under which NumPy's rule does what this one does: B's, and a 1 for each dim of A behind it."""
        if prod(b) == 1:
            return ()
        axis = self.order.index(self.axis_str) if self.axis_str else len(a) - len(b) if self.axis == -1 else self.axis
        if not 0 <= axis <= len(a) - len(b):
            raise ValueError(f"B: shape is {list(b)}, which does not fit into A of shape {list(a)} from axis {axis} on")
        wide = [
            i for i, n in enumerate(b) if n != 1
        ]  # ones in front of B and behind it fit any dim, those inside only 1
        inside = slice(wide[0], wide[-1] + 1)
        if b[inside] != a[axis:][inside]:
            raise ValueError(f"B: shape is {list(b)}, which is not that of A ({list(a)}) from axis {axis} on")
        return b + (1,) * (len(a) - axis - len(b))


class Broadcasting(Placing):
    """Both rules, and the shapes that follow from them."""

    broadcast: bool = Arg(False, doc="B is a part of A's dims (see axis) instead of NumPy's rule")

    def placed(self, a: Shape, b: Shape) -> Shape:
        return super().placed(a, b) if self.broadcast else b

    def joined(self, a: Shape, b: Shape) -> Shape:
        """The shape of the result, for a `placed` B. Raises ValueError."""
        if self.broadcast:
            return a
        rank = max(len(a), len(b))
        pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b))
        if any(m != n and m != 1 and n != 1 for m, n in pairs):
            raise ValueError(f"B: shape is {list(b)}, which does not broadcast with A of shape {list(a)}")
        return tuple(n if m == 1 else m for m, n in pairs)


def joined_specs(a: TensorSpec, b: TensorSpec) -> tuple[Any, ...]:
    """The shape by NumPy's rule where dims may be unknown."""
    rank = max(a.ndim, b.ndim)
    return tuple(_joined_dim(m, n) for m, n in zip((1,) * (rank - a.ndim) + a.shape, (1,) * (rank - b.ndim) + b.shape))


def _joined_dim(m: Any, n: Any) -> Any:
    """A dim by NumPy's rule: an unknown one may be 1, so that only another number than 1 says what it becomes."""
    for dim in (m, n):
        if not isinstance(dim, Unknown) and dim != 1:
            return dim
    return m if isinstance(m, Unknown) else n


class Binary(Broadcasting):
    """Base of the rows C = f(A, B): `cpu` is a ufunc or a function with `out`, `kernel` the CUDA expression."""

    cpu: ClassVar[Callable[..., Any]]
    kernel: ClassVar[Kernel]

    def infer(self, A: TensorSpec, B: TensorSpec) -> TensorSpec:
        dtype = self.output_dtype(A.dtype)
        if A.known and B.known:
            return TensorSpec(self.joined(A.shape, self.placed(A.shape, B.shape)), dtype)
        return TensorSpec(A.shape if self.broadcast else joined_specs(A, B), dtype)

    def output_dtype(self, dtype: Any) -> Any:
        return self.parsed.dtype(self.parsed.outputs[0], {"dtype A": dtype}, self.arg_value)

    def prepare(self, A: Any, B: Any) -> tuple[Any, Any]:
        """B as NumPy broadcasts it, and the buffer for C."""
        placed = self.placed(A.shape, B.shape)
        shape = self.joined(A.shape, placed)
        for i, (name, x) in enumerate((("A", A), ("B", B))):
            if self.op_def.output[:1] == self.op_def.input[i : i + 1] and shape != x.shape:
                raise ValueError(f"C is {name}'s blob ({list(x.shape)}), but its shape is {list(shape)}")
        return B.reshape(placed), self.out(0, shape, self.output_dtype(A.dtype))

    def run_cpu(self, A: Any, B: Any) -> Any:
        B, out = self.prepare(A, B)
        type(self).cpu(A, B, out=out)
        return out

    def run_cuda(self, A: Any, B: Any) -> Any:
        B, out = self.prepare(A, B)
        return self.kernel(A, B, out=out)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        A, B = inputs
        return call(type(self).cpu, A, B.reshape(self.placed(A.shape, B.shape)), out=outputs[0])

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(outputs[0].size, moved.bytes_read, moved.bytes_written)


def binary(
    name: str,
    doc: str,
    cpu: Callable[..., Any],
    cuda: str,
    *,
    dtype: str = "number",
    to: str = "A",
    gradient: str | NonGradient,
    inplace: Any = (),
    depth: int = 2,
) -> None:
    """Declares C = f(A, B); `to` is the dtype of C."""
    contract = f"A: {dtype}, B: A -> C: {to}[?]"
    docs = {
        "A": "any tensor",
        "B": "a tensor that broadcasts with A",
        "C": "the result, of the shape both broadcast to",
    }
    row(
        name, doc, Binary, depth, contract=contract, cpu=staticmethod(cpu), kernel=kernel(name, contract, cuda),
        gradient=gradient, inplace=inplace, docs=docs,
    )  # fmt: skip


# --- gradients ---

SUM = Reduction(combine="a + b", identity="A(0)", dtypes=("float32", "float64", "int32", "int64"), name="broadcast_sum")


def repeated(whole: Shape, part: Shape) -> tuple[int, ...]:
    """The axes of `whole` along which an array of shape `part` was repeated."""
    lead = len(whole) - len(part)
    return tuple(i for i, n in enumerate(whole) if i < lead or (n != 1 and part[i - lead] == 1))


def sum_cpu(x: Any, axes: tuple[int, ...], out: Any) -> None:
    np.add.reduce(x, axis=axes, out=out.reshape([n for i, n in enumerate(x.shape) if i not in axes]), dtype=x.dtype)


def sum_cuda(x: Any, axes: tuple[int, ...], out: Any) -> None:
    """Runs of neighbouring axes, one after the other from the last."""
    import cupy

    rest = list(axes)
    while rest and out.size:
        run = [rest.pop()]
        while rest and rest[-1] == run[0] - 1:
            run.insert(0, rest.pop())
        shape = [n for i, n in enumerate(x.shape) if i not in run]
        x = SUM(x, cupy.empty(shape, x.dtype) if rest else out, axes=run)


class BinaryGradient(Broadcasting):
    """Base of the rows (dC, A, B[, C]) -> dA, dB.

    `cpu` and `kernels` are pairs of functions of the inputs, for dA and dB before they are summed over repeated dims;
    None stands for dC.
    """

    cpu: ClassVar[tuple[Callable[..., Any] | None, Callable[..., Any] | None]]
    kernels: ClassVar[tuple[Kernel | None, Kernel | None]]

    def run_cpu(self, *inputs: Any) -> Any:
        return self._run(inputs, type(self).cpu, np.empty, sum_cpu)

    def run_cuda(self, *inputs: Any) -> Any:
        import cupy

        return self._run(inputs, self.kernels, cupy.empty, sum_cuda)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)

    def operands(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs in the order dC, A, B, C."""
        return inputs

    def _run(self, inputs: tuple[Any, ...], sides: Any, empty: Any, total: Any) -> Any:
        dC, A, B, *C = self.operands(inputs)
        placed = self.placed(A.shape, B.shape)
        shape = self.joined(A.shape, placed)
        for name, x in zip(("dC", "C"), (dC, *C)):
            if x.shape != shape:
                raise ValueError(f"{name}: shape is {list(x.shape)}, wants {list(shape)}, that of A and B broadcast")
        outs = self.out(0, A.shape, A.dtype), self.out(1, B.shape, B.dtype)
        arrays = (dC, A, B.reshape(placed), *C)
        order = (1, 0) if any(outs[0] is x for x in inputs) else (0, 1)
        for i in order:
            axes, side = repeated(shape, (A.shape, placed)[i]), sides[i]
            whole = outs[i] if not axes else dC if side is None else empty(shape, dC.dtype)
            if side is not None:
                side(*arrays, out=whole.reshape(shape))
            elif not axes and whole is not dC:
                whole[...] = dC.reshape(whole.shape)
            if axes:
                total(whole, axes, outs[i])
        return outs

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(2 * inputs[0].size, moved.bytes_read, moved.bytes_written)


GRADIENT_CONTRACT = "dC: number, A: dC, B: dC -> dA: A, dB: B"
GRADIENT_DOCS = {
    "dC": "gradient of C",
    "A": "first input of the forward operator",
    "B": "its second input",
    "C": "its output",
}
GRADIENT_DOCS |= {"dA": "gradient of A", "dB": "gradient of B"}


def binary_gradient(
    name: str, doc: str, *, cpu: tuple[Any, Any], cuda: tuple[str | None, str | None], inplace: Any, **members: Any
) -> None:
    """Declares the gradient operator of a row; `cpu` and `cuda` are pairs for dA and dB."""
    contract = members.setdefault("contract", GRADIENT_CONTRACT)
    left = contract.partition("->")[0].replace("?", "")
    kernels = tuple(
        text and kernel(f"{name}_{out}", f"{left} -> {out}: A", text) for out, text in zip(("dA", "dB"), cuda)
    )
    row(
        name,
        doc,
        members.pop("base", BinaryGradient),
        2,
        cpu=cpu,
        kernels=kernels,
        docs=GRADIENT_DOCS,
        inplace=inplace,
        **members,
    )
