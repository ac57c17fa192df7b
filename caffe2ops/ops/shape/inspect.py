"""Shape and Size: a tensor's dims as a tensor."""

from __future__ import annotations

from math import prod

from caffe2ops import registry
from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Array, Operator


class Inspector(Operator):
    """Base of operators that look at a shape only, on both devices."""

    def _filled(self, shape: tuple[int, ...], values: object) -> Array:
        y = self.out(0, shape, "int64")
        y[...] = registry.array_module(self.device).asarray(values, "int64")
        return y

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return Cost(0, 0, outputs[0].nbytes)


class Shape(Inspector):
    """The dims of X, all or those of `axes` in that order. Caffe2: operators/shape_op."""

    contract = "X: any -> shape: int64[?]"
    docs = {"X": "any tensor", "shape": "its dims"}
    gradient = FORBIDDEN
    axes: list[int] = Arg((), ge=0, doc="which dims; all by default")

    def infer(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec((len(self.axes) if self.axes else x.ndim if x.has_rank else UNKNOWN,), "int64")

    def run_cpu(self, x: Array) -> Array:
        if any(axis >= x.ndim for axis in self.axes):
            raise ValueError(f"axes = {self.axes}, X has only {x.ndim} dimensions")
        dims = [x.shape[axis] for axis in self.axes] if self.axes else x.shape
        return self._filled((len(dims),), dims)

    run_cuda = run_cpu


class Size(Inspector):
    """The number of elements of X. Caffe2: operators/utility_ops."""

    contract = "X: any -> size: int64[]"
    docs = {"X": "any tensor", "size": "its number of elements"}
    gradient = NO_GRADIENT

    def run_cpu(self, x: Array) -> Array:
        return self._filled((), prod(x.shape))

    run_cuda = run_cpu
