"""Concat and Split, SplitByLengths: joining tensors along an axis, and cutting one apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Array, Operator
from caffe2ops.ops.shape.axes import ORDER_AXIS, Shape, canonical_axis, differ, known, show
from caffe2ops.registry import array_module

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class AlongAxis(Operator):
    """Base: the axis is `axis`, or that of the channels in `order`."""

    axis: int = Arg(-1, doc="the axis; by default that of the channels in order")
    order: str = Arg("NCHW", choices=tuple(ORDER_AXIS), doc="which axis the channels are: 1 (NCHW) or 3 (NHWC)")
    add_axis: bool = Arg(False, doc="whether the axis is a new one in the joined tensor; only with axis")

    def _axis(self, ndim: int) -> int:
        if self.has_arg("axis") and self.has_arg("order"):
            raise ValueError(f"axis = {self.axis} and order = {self.order}, wants only one of them")
        return canonical_axis(self.axis if self.has_arg("axis") else ORDER_AXIS[self.order], ndim)

    @property
    def _new_axis(self) -> bool:
        return self.add_axis and self.has_arg("axis")


class Concat(AlongAxis):
    """Joins tensors along an axis, in which alone they may differ; with `add_axis` stacks them along a new one.

    Raises ValueError for other shapes, TypeError for unlike dtypes. Caffe2: operators/concat_split_op.
    """

    contract = "*inputs: any -> concat_result: any[?], split_info: int32[?]"
    docs = {
        "inputs": "one or more tensors",
        "concat_result": "all of them",
        "split_info": "the size of each along the axis",
    }

    def _joined(self, shapes: list[Shape]) -> tuple[int, Shape, list[Any]]:
        """Axis, shape of the result, and sizes along the axis."""
        first = shapes[0]
        axis = self._axis(len(first) + self._new_axis)
        for i, other in enumerate(shapes):
            rest = (
                zip(first, other)
                if self._new_axis
                else ((a, b) for d, (a, b) in enumerate(zip(first, other)) if d != axis)
            )
            if len(first) != len(other) or any(differ(a, b) for a, b in rest):
                but = "" if self._new_axis else f" but for dim {axis}"
                raise ValueError(f"inputs[{i}]: shape is {show(other)}, wants that of the first, {show(first)}{but}")
        sizes = [1] * len(shapes) if self._new_axis else [shape[axis] for shape in shapes]
        base = [next(filter(known, dims), UNKNOWN) for dims in zip(*shapes)]
        base[axis : axis if self._new_axis else axis + 1] = [sum(sizes)]
        return axis, tuple(base), sizes

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        info = TensorSpec((len(inputs),), "int32")
        if not all(spec.has_rank for spec in inputs):
            return TensorSpec(None, inputs[0].dtype), info
        return TensorSpec(self._joined([spec.shape for spec in inputs])[1], inputs[0].dtype), info

    def run_cpu(self, *inputs: Array) -> Any:
        axis, shape, sizes = self._joined([x.shape for x in inputs])
        for i, x in enumerate(inputs):
            if x.dtype != inputs[0].dtype:
                raise TypeError(f"inputs[{i}]: dtype is {x.dtype}, wants that of the first, {inputs[0].dtype}")
        dtype = inputs[0].dtype
        y = np.empty(shape, dtype) if dtype.hasobject else self.out(0, shape, dtype)  # strings stay on the CPU
        info = self.out(1, (len(inputs),), "int32")
        info[...] = array_module(self.device).asarray(sizes, "int32")
        (np.stack if self._new_axis else np.concatenate)(inputs, axis=axis, out=y)
        return y, info

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        return [g.op("Split", (g.GO(0), g.O(1)), [g.GI(i) for i in range(len(g.def_.input))])]


def gradient_of_parts(g: GradientMaker) -> list[OperatorDef]:
    """The gradient of an operator that cuts a tensor: the gradients of the parts joined."""
    name = g.GI(0)
    return [g.op("Concat", [g.GO(i) for i in range(len(g.def_.output))], (name, f"_{name}_dims"))]


class Cut(AlongAxis):
    """Base of operators that cut a tensor along an axis; same code on both devices."""

    def _part(self, shape: Shape, axis: int, part: Any) -> Shape:
        return (*shape[:axis], *(() if self._new_axis else (part,)), *shape[axis + 1 :])

    def _check(self, sizes: list[Any], shape: Shape, axis: int) -> list[Any]:
        if any(known(part) and part < 0 for part in sizes):
            raise ValueError(f"split: {sizes} has a negative size")
        total = len(sizes) if self._new_axis else sum(sizes)
        if differ(total, shape[axis]):
            what = f"{total} outputs" if self._new_axis else f"the sizes {sizes}, together {total},"
            raise ValueError(f"split: {what} for dim {axis} of the input, which is {shape[axis]} (shape {show(shape)})")
        return sizes

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return Cost(0, sum(spec.nbytes for spec in inputs), inputs[0].nbytes)

    def _cut(self, x: Array, axis: int, sizes: list[int]) -> list[Array]:
        parts, at = [], 0
        for i, part in enumerate(sizes):
            y = self.out(i, self._part(x.shape, axis, part), x.dtype)
            where = at if self._new_axis else slice(at, at + part)
            y[...] = x[(slice(None),) * axis + (where,)]
            parts.append(y)
            at += 1 if self._new_axis else part
        return parts


class Split(Cut):
    """Cuts a tensor along an axis: in equal parts, or in those of `split`, argument or input.

    With `add_axis` each part is one index of the axis, without that dim. Raises ValueError where the parts don't add
    up. Caffe2: operators/concat_split_op.
    """

    contract = "input: any, split?: int32[K] -> *outputs: input[?]"
    docs = {"input": "any tensor", "split": "the sizes of the parts", "outputs": "the parts in order"}
    split: list[int] = Arg((), doc="the sizes of the parts along the axis; equal by default")
    make_gradient = staticmethod(gradient_of_parts)

    def _sizes(self, shape: Shape, axis: int, given: list[Any] | None) -> list[Any]:
        if given is not None and self.split:
            raise ValueError(f"split: given both as argument, {self.split}, and as input, wants one of them")
        sizes = self.split if given is None else given
        if not sizes and given is None:
            if known(shape[axis]) and shape[axis] % self.n_outputs:
                raise ValueError(
                    f"input: dim {axis} is {shape[axis]}, which is not to be divided by {self.n_outputs} outputs"
                )
            sizes = [shape[axis] // self.n_outputs] * self.n_outputs
        if len(sizes) != self.n_outputs:
            raise ValueError(f"split: has {len(sizes)} sizes, there are {self.n_outputs} outputs")
        return self._check(sizes, shape, axis)

    def infer(self, x: TensorSpec, split: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        axis = self._axis(x.ndim)
        sizes = self._sizes(x.shape, axis, None if split is None else [UNKNOWN] * self.n_outputs)
        return tuple(TensorSpec(self._part(x.shape, axis, part), x.dtype) for part in sizes)

    def run_cpu(self, x: Array, split: Array | None = None) -> Any:
        axis = self._axis(x.ndim)
        return self._cut(x, axis, self._sizes(x.shape, axis, None if split is None else split.tolist()))

    run_cuda = run_cpu


class SplitByLengths(Cut):
    """Cuts a tensor along an axis: lengths are dealt evenly to the outputs, and each gets as much as its lengths add
    up to.

    With `use_scaling_lengths` lengths that add up to less are multiplied by what makes them fit. Caffe2:
    operators/concat_split_op.
    """

    contract = "input: any, legnths: int32[L] -> *outputs: input[?]"
    docs = {
        "input": "any tensor",
        "legnths": "lengths along the axis; their number is a multiple of that of the outputs",
        "outputs": "the parts in order",
    }
    use_scaling_lengths: bool = Arg(False, doc="whether lengths are scaled to the size of the axis")
    make_gradient = staticmethod(gradient_of_parts)

    def infer(self, x: TensorSpec, lengths: TensorSpec) -> tuple[TensorSpec, ...]:
        axis = self._axis(x.ndim)
        return tuple(TensorSpec(self._part(x.shape, axis, UNKNOWN), x.dtype) for _ in range(self.n_outputs))

    def run_cpu(self, x: Array, lengths: Array) -> Any:
        axis, count = self._axis(x.ndim), self.n_outputs
        if len(lengths) % count:
            raise ValueError(f"legnths: has {len(lengths)} elements, wants a multiple of the {count} outputs")
        sizes = lengths.reshape(count, -1).sum(axis=1).tolist()
        total = sum(sizes)
        if self.use_scaling_lengths and total and x.shape[axis] % total == 0:
            sizes = [part * (x.shape[axis] // total) for part in sizes]
        return self._cut(x, axis, self._check(sizes, x.shape, axis))

    run_cuda = run_cpu
