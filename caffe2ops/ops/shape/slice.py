"""Slice: a box cut out of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Array, Operator
from caffe2ops.ops.shape.axes import Shape, known, show

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class Box(Operator):
    """Base: from `starts` to before `ends`, as arguments or inputs, for the first dims; other dims are taken whole."""

    starts: list[int] = Arg((), doc="where the box begins in each dim; -1 is the end of the dim, -2 one before it")
    ends: list[int] = Arg((), doc="where it ends, counted in the same way; what lies beyond the dim is cut off")

    def _box(self, shape: Shape, starts: Array | None, ends: Array | None) -> tuple[slice, ...]:
        if starts is None or ends is None:
            if not (self.has_arg("starts") and self.has_arg("ends")):
                raise ValueError("starts, ends: missing, wants both as arguments or both as inputs")
            begin, end = self.starts, self.ends
        else:
            begin, end = starts.tolist(), ends.tolist()
        if len(begin) != len(end) or len(begin) > len(shape):
            raise ValueError(f"starts = {begin}, ends = {end}: wants as many of both, at most {len(shape)}")
        return tuple(self._range(i, size, *pair) for i, (size, pair) in enumerate(zip(shape, zip(begin, end))))

    @staticmethod
    def _range(i: int, size: Any, start: int, end: int) -> slice:
        if not known(size):
            return slice(0, size) if (start, end) == (0, -1) else slice(0, UNKNOWN)
        if size == 0:
            return slice(0, 0)
        first, last = (min(at if at >= 0 else size + 1 + at, size) for at in (start, end))
        if first < 0 or last < first:
            raise ValueError(f"starts = {start}, ends = {end} in dim {i} of size {size}: is {first} to {last}")
        return slice(first, last)

    def _cut_shape(self, shape: Shape, box: tuple[slice, ...]) -> Shape:
        return (*(s.stop - s.start for s in box), *shape[len(box) :])


class Slice(Box):
    """A box cut out of X. Raises ValueError where a range ends before it begins.

    In any number of dims at once (Caffe2: in one). Caffe2: operators/slice_op.
    """

    contract = "X: any, starts?: integer[D], ends?: starts[D] -> Y: X[?]"
    docs = {"X": "any tensor", "starts": "instead of the argument", "ends": "instead of the argument", "Y": "the box"}
    arity = ((1, 1), (3, 1))

    def infer(self, x: TensorSpec, starts: TensorSpec | None = None, ends: TensorSpec | None = None) -> TensorSpec:
        if starts is not None:
            rank, cut = len(x.shape), starts.shape[0]
            return TensorSpec((UNKNOWN,) * cut + x.shape[cut:] if known(cut) else (UNKNOWN,) * rank, x.dtype)
        return TensorSpec(self._cut_shape(x.shape, self._box(x.shape, None, None)), x.dtype)

    def run_cpu(self, x: Array, starts: Array | None = None, ends: Array | None = None) -> Array:
        box = self._box(x.shape, starts, ends)
        y = self.out(0, self._cut_shape(x.shape, box), x.dtype)
        y[...] = x[box]
        return y

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        return [g.op("SliceGradient", (*g.def_.input, g.GO(0)), (g.GI(0),))]


class SliceGradient(Box):
    """The gradient of Slice: dY at its place, 0 around it.

    The inputs are X, starts and ends where Slice had them, dY.
    """

    contract = "X: any, *rest: any -> dX: X"
    docs = {"X": "input of Slice", "rest": "starts and ends, where Slice had them as inputs, then the gradient of Y"}
    arity = ((2, 1), (4, 1))

    def run_cpu(self, x: Array, *rest: Array) -> Array:
        *given, dy = rest
        starts, ends = given or (None, None)
        box = self._box(x.shape, starts, ends)
        shape = self._cut_shape(x.shape, box)
        if dy.shape != shape or dy.dtype != x.dtype:
            raise ValueError(f"dY: is {dy.dtype}{show(dy.shape)}, wants {x.dtype}{show(shape)}")
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = 0
        dx[box] = dy
        return dx

    run_cuda = run_cpu
