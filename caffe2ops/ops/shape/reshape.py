"""Operators that keep the data and change the shape: Reshape, ResizeLike, Flatten, Squeeze, ExpandDims and kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caffe2ops import registry
from caffe2ops.defs import OperatorDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Array, Operator
from caffe2ops.ops.shape.axes import Shape, differ, known, show, size

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class View(Operator):
    """Base of operators whose first output holds the first input's data in another shape; same code on both devices."""

    def shaped(self, x: Array, shape: Shape) -> Array:
        """The data of input 0 as output 0: a view where both are one blob, else a copy."""
        if self.op_def.output[0] == self.op_def.input[0]:
            return x.reshape(shape)
        y = self.out(0, shape, x.dtype)
        y[...] = x.reshape(shape)
        return y


class OneShape(View):
    """Base of those whose output shape follows from the input shapes: `shape(*shapes)`."""

    shape: Callable[..., Shape]

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec(self.shape(*(spec.shape for spec in inputs)), inputs[0].dtype)

    def run_cpu(self, *inputs: Array) -> Array:
        return self.shaped(inputs[0], self.shape(*(x.shape for x in inputs)))

    run_cuda = run_cpu


class Reshape(View):
    """The same data in another shape, given by the argument `shape` or by the input new_shape.

    A 0 takes the dim that the input has there, one -1 what is left over; of an empty input both are 0. Raises
    ValueError where the sizes differ. Caffe2: operators/reshape_op.
    """

    contract = "data: any, new_shape?: integer[R] -> reshaped: data[?], old_shape: int64[?]"
    docs = {
        "data": "any tensor",
        "new_shape": "the wanted shape, instead of the argument",
        "reshaped": "the data in the wanted shape",
        "old_shape": "the shape of data; int32 where new_shape is",
    }
    inplace = ((0, 0),)
    copy_arguments = False
    shape: list[int] = Arg((), doc="the wanted shape; 0 keeps a dim, -1 is what is left over")

    def _wanted(self, given: bool) -> list[int]:
        if given and self.has_arg("shape"):
            raise ValueError("shape: given both as argument and as input new_shape, wants one of them")
        if not given and not self.has_arg("shape"):
            raise ValueError("shape: the argument is missing, and there is no input new_shape")
        return self.shape

    @staticmethod
    def _new_shape(old: Shape, wanted: list[int]) -> Shape:
        total = size(old)
        if min(wanted, default=0) < -1:
            raise ValueError(f"shape: {wanted} has {min(wanted)}, wants -1 or more")
        if wanted.count(-1) > 1:
            raise ValueError(f"shape: {wanted} has more than one -1")
        if known(total) and total == 0:
            new: list[Any] = [max(dim, 0) for dim in wanted]
        else:
            new = [_kept(old, wanted, i) if dim == 0 else dim for i, dim in enumerate(wanted)]
            if -1 in wanted:
                at = wanted.index(-1)
                rest = size(new[:at] + new[at + 1 :])
                if known(total) and known(rest) and (rest == 0 or total % rest):
                    raise ValueError(
                        f"shape: {wanted} does not divide the {total} elements of data, with shape {show(old)}"
                    )
                new[at] = total // rest
        if differ(size(new), total):
            raise ValueError(f"shape: {wanted} has {size(new)} elements, data has {total}, with shape {show(old)}")
        return tuple(new)

    def infer(self, data: TensorSpec, new_shape: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        wanted = self._wanted(new_shape is not None)
        old = TensorSpec((data.ndim if data.has_rank else UNKNOWN,), new_shape.dtype if new_shape else "int64")
        if new_shape is not None:
            rank = new_shape.shape[0] if new_shape.has_rank else UNKNOWN
            return TensorSpec((UNKNOWN,) * rank if known(rank) else None, data.dtype), old
        return TensorSpec(self._new_shape(data.shape, wanted), data.dtype), old

    def run_cpu(self, data: Array, new_shape: Array | None = None) -> Any:
        wanted = self._wanted(new_shape is not None)
        if new_shape is not None:
            wanted = new_shape.tolist()
            if not wanted:
                raise ValueError("new_shape: is empty, wants at least one dim")
        old = self.out(1, (data.ndim,), "int64" if new_shape is None else new_shape.dtype)
        old[...] = registry.array_module(self.device).asarray(data.shape, old.dtype)
        return self.shaped(data, self._new_shape(data.shape, wanted)), old

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        name = g.GI(0)
        return [g.op("Reshape", (g.GO(0), g.O(1)), (name, f"_{name}_dims"))]


def _kept(old: Shape, wanted: list[int], i: int) -> Any:
    if i >= len(old):
        raise ValueError(f"shape: {wanted} has a 0 at {i}, but data has only {len(old)} dimensions")
    return old[i]


class ResizeLike(OneShape):
    """The data in the shape of another tensor with as many elements. Caffe2: operators/utility_ops."""

    contract = "data: any, shape_tensor: any -> output: data[?]"
    docs = {"data": "any tensor", "shape_tensor": "gives the shape", "output": "the data in that shape"}
    gradient = FORBIDDEN

    def shape(self, data: Shape, like: Shape) -> Shape:
        if differ(size(data), size(like)):
            raise ValueError(f"shape_tensor: shape is {show(like)}, wants as many elements as data, {show(data)}")
        return like


class Flatten(OneShape):
    """A matrix of the data: dims before `axis` are joined, and those from it on. Caffe2: operators/flatten_op."""

    contract = "X: any -> Y: X[?]"
    docs = {"X": "a tensor of at least axis dimensions", "Y": "a matrix of the same data"}
    gradient = "ResizeLike(dY, X) -> dX"
    axis: int = Arg(1, ge=0, doc="the first dim that goes to the second of the matrix; may be the number of dims")

    def shape(self, x: Shape) -> Shape:
        if self.axis > len(x):
            raise ValueError(f"axis = {self.axis}, X has only {len(x)} dimensions")
        return size(x[: self.axis]), size(x[self.axis :])


class FlattenToVec(OneShape):
    """All elements in one dimension. Caffe2: operators/utility_ops."""

    contract = "input: any -> output: input[?]"
    docs = {"input": "a tensor of at least one dimension", "output": "the same data as a vector"}
    gradient = "ResizeLike(doutput, input) -> dinput"

    def shape(self, x: Shape) -> Shape:
        if not x:
            raise ValueError("input: has no dimensions, wants at least 1")
        return (size(x),)


def _dims(dims: list[int]) -> list[int]:
    if not dims or min(dims) < 0:
        raise ValueError(f"dims = {dims}, wants at least one and no negative one")
    return sorted(set(dims))


class Squeeze(OneShape):
    """Leaves out dims of size 1. Raises ValueError for a dim of another size.

    Caffe2: operators/expand_squeeze_dims_op.
    """

    contract = "data: any -> squeezed: data[?]"
    docs = {"data": "any tensor", "squeezed": "the same data without these dims"}
    gradient = "ExpandDims(dsqueezed) -> ddata"
    inplace = ((0, 0),)
    dims: list[int] = Arg(doc="the dims to leave out")

    def shape(self, x: Shape) -> Shape:
        dims = _dims(self.dims)
        for dim in dims:
            if dim >= len(x):
                raise ValueError(f"dims = {self.dims}: data has only {len(x)} dimensions")
            if differ(x[dim], 1):
                raise ValueError(f"dims = {self.dims}: dim {dim} of data is {x[dim]}, wants 1 (shape {show(x)})")
        return tuple(size for i, size in enumerate(x) if i not in dims)


class ExpandDims(OneShape):
    """Puts in dims of size 1, at these places of the output. Caffe2: operators/expand_squeeze_dims_op."""

    contract = "data: any -> expanded: data[?]"
    docs = {"data": "any tensor", "expanded": "the same data with the new dims"}
    gradient = "Squeeze(dexpanded) -> ddata"
    inplace = ((0, 0),)
    dims: list[int] = Arg(doc="where the output has the new dims")

    def shape(self, x: Shape) -> Shape:
        dims = _dims(self.dims)
        if dims and dims[-1] >= len(x) + len(dims):
            raise ValueError(f"dims = {self.dims}: dim {dims[-1]} of {len(x) + len(dims)}, wants less")
        shape = list(x)
        for dim in dims:
            shape.insert(dim, 1)
        return tuple(shape)
