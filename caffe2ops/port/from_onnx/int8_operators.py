"""Int8 operators for nodes whose inputs and outputs are quantised. Images have their channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caffe2ops.ops.int8.arithmetic import ratio
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules.image import window
from caffe2ops.port.from_onnx.rules.reduce import axes_of
from caffe2ops.port.from_onnx.values import fixed
from caffe2ops.port.values import NotPortable, Value

LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # the order of axes that puts channels last, or behind the batch
MOVING = ("Concat", "Flatten", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")  # of bytes, too

WITH_RELU = ("Int8Add", "Int8AveragePool", "Int8Conv", "Int8MaxPool")  # FC has it in the engine DNNLOWP only


@dataclass
class Unit:
    """A node to be said in 8 bits: its inputs as it has them, as Int8 tensors, and whose names those take; scale and
    zero point of its output, and whether what lies below 0 becomes 0."""

    g: Builder
    node: Node
    inputs: list[Value | None]
    tensors: list[Value | None]
    sources: list[Value | None]
    scale: float
    zero: int
    relu: bool = False
    named: list[tuple[Value, Value]] = field(default_factory=list)

    def tensor(self, i: int) -> Value:
        """An input as an Int8 tensor that is computed."""
        found = self.tensors[i]
        if found is None or found.array is not None:
            raise NotPortable(f"its input {i} isn't quantised to 8 bits with one scale, or doesn't vary")
        return found

    def weights(self, i: int = 1) -> Value:
        found = self.tensors[i]
        if found is None or found.array is None:
            raise NotPortable("its weights are no constant bytes with one scale for all, which Caffe2's Int8 ones have")
        return found

    def image(self) -> Value:
        x = self.tensor(0)
        if x.rank != 4:
            raise NotPortable(f"its input has {x.rank - 2} spatial dims, Caffe2's Int8 images have 2")
        return x

    def parameter(self, i: int, array: Any, scale: Any, zero: int) -> Value:
        """A parameter for a constant input, under its name."""
        array, source = np.ascontiguousarray(array), self.sources[i] if i < len(self.sources) else None
        name = f"{self.node.name}/bias" if source is None else source.name
        made = Value(self.g.names.unique(name), array.dtype, array.shape, array)
        made.quantised = float(scale), zero
        if source is not None:
            self.named.append((source, made))
        return made

    def bias(self, i: int, width: int, of_products: Any) -> Value:
        """The bias in 32 bits, in units of the scale of products; zeros where there is none."""
        given = self.inputs[i] if i < len(self.inputs) else None
        array = np.zeros(width, np.int32) if given is None else fixed(given, "its bias")
        if array.dtype != np.int32:
            array = np.rint(array.astype(np.float64) / float(of_products)).clip(-(2.0**31), 2.0**31 - 1)
        return self.parameter(i, np.broadcast_to(array.astype(np.int32).reshape(-1), width), of_products, 0)

    def add(self, type_name: str, *inputs: Value, **args: Any) -> Value:
        """An Int8 operator with this output; what has no form with a Relu gets one behind it."""
        args |= {"Y_scale": self.scale, "Y_zero_point": self.zero}
        behind = self.relu and type_name not in WITH_RELU
        made = self.g.one(f"{type_name}Relu" if self.relu and not behind else type_name, *inputs, **args)
        return self.g.Int8Relu(made, Y_scale=self.scale, Y_zero_point=self.zero) if behind else made

    def kept(self, *tensors: Value) -> None:
        """Raises NotPortable where the output has another scale or zero point than the inputs."""
        for x in tensors:
            scale, zero = x.quantisation()
            if np.float32(self.scale) != scale or self.zero != zero:
                raise NotPortable("its output has another scale or zero point than its input, which Caffe2's keep")


OPERATORS: dict[str, Callable[[Unit], Value]] = {}


def operator(*types: str) -> Callable[[Callable[[Unit], Value]], Callable[[Unit], Value]]:
    """Registers what says these nodes."""

    def register(function: Callable[[Unit], Value]) -> Callable[[Unit], Value]:
        OPERATORS.update(dict.fromkeys(types, function))
        return function

    return register


def limits(node: Node, inputs: Sequence[Value | None], scale: Any, zero: int) -> tuple[int, int]:
    """The bytes that a node cuts off at; (-1, -1) where that isn't what it does."""
    if node.type == "Relu":
        return zero, 255
    if node.type != "Clip" or any(v is not None and v.array is None for v in inputs[1:]):
        return -1, -1
    given = [None if v is None else v.array for v in (*inputs, None, None)[1:3]]
    low, high = given if node.opset >= 11 else (node["min"], node["max"])
    ends = [end if v is None else float(np.rint(float(v) / scale) + zero) for v, end in ((low, 0), (high, 255))]
    return int(np.clip(ends[0], 0, 255)), int(np.clip(ends[1], 0, 255))


def of_products(u: Unit, x: Value, w: Value) -> Any:
    """The scale of products. Raises ValueError where QNNPACK can't scale them to the output's."""
    by = x.quantisation()[0] * w.quantisation()[0]
    ratio(by / np.float32(u.scale), 2.0**-32, 1.0, "scale of X * scale of the weights / Y_scale")
    return by


@operator("Conv", "QLinearConv", "ConvTranspose")
def convolution(u: Unit) -> Value:
    """Weights [M, C / group, h, w] become [M, h, w, C / group]; of a ConvTranspose M are the input's channels."""
    x, w, node = u.image(), u.weights(), u.node
    by, taken, group = of_products(u, x, w), w.array.transpose(LAST), node["group"] or 1  # type: ignore[union-attr]
    args = window(node, _logical(u), list(node["kernel_shape"] or (w.static(i) for i in (2, 3))))
    width = w.static(0)
    if node.type == "ConvTranspose":
        adjs = list(node["output_padding"] or [0, 0])
        if any(d != 1 for d in args.pop("dilations")) or node["output_shape"] or node["auto_pad"] != "NOTSET":
            raise NotPortable("has dilations, output_shape or auto_pad")
        args["adjs"], width = adjs, w.static(1) * group
    inputs = x, u.parameter(1, taken, *w.quantisation()), u.bias(2, width, by)
    return u.add("Int8ConvTranspose" if node.type == "ConvTranspose" else "Int8Conv", *inputs, order="NHWC",
                 group=group if group > 1 else None, **args)  # fmt: skip


def _logical(u: Unit) -> Value:
    x = u.inputs[0]
    assert x is not None
    return x


@operator("Gemm", "MatMul", "QLinearMatMul")
def matrix_product(u: Unit) -> Value:
    x, w, node = u.tensor(0), u.weights(), u.node
    plain = node.type != "Gemm" or (node["alpha"] == 1 and not node["transA"] and (node["beta"] == 1 or u.tensors[2:]))
    if x.rank != 2 or w.rank != 2 or not plain:
        raise NotPortable("isn't a plain product of matrices with 2 dims")
    by, array = of_products(u, x, w), w.array
    assert array is not None
    taken = array if node["transB"] else array.T
    return u.add("Int8FC", x, u.parameter(1, taken, *w.quantisation()), u.bias(2, len(taken), by))


@operator("AveragePool", "GlobalAveragePool", "ReduceMean")
def average(u: Unit) -> Value:
    x, node = u.image(), u.node
    args: dict[str, Any] = {"global_pooling": 1}
    if node.type == "AveragePool":
        args = window(node, _logical(u), list(node["kernel_shape"]))
        if node["ceil_mode"] or any(d != 1 for d in args.pop("dilations")):
            raise NotPortable("has dilations or ceil_mode")
        if any(args["pads"]) and not node["count_include_pad"]:
            raise NotPortable("leaves the padding out, Caffe2's counts it as 0")
    elif node.type == "ReduceMean":
        axes = axes_of(node, u.inputs[1] if len(u.inputs) > 1 else None)
        if sorted(a % 4 for a in axes) != [2, 3] or not node["keepdims"]:
            raise NotPortable("isn't a mean over images")
    area = np.prod(args.get("kernels") or [_logical(u).static(i) for i in (2, 3)])
    by = x.quantisation()[0] / (np.float32(u.scale) * np.float32(area))
    ratio(by, 2.0**-32, 2.0**8, "scale of X / (Y_scale * window)")
    return u.add("Int8AveragePool", x, order="NHWC", **args)


@operator("MaxPool")
def greatest(u: Unit) -> Value:
    x, node = u.image(), u.node
    args = window(node, _logical(u), list(node["kernel_shape"]))
    if node["ceil_mode"] or any(d != 1 for d in args.pop("dilations")) or node.wants(1):
        raise NotPortable("has dilations or ceil_mode, or gives out places")
    u.kept(x)
    return u.add("Int8MaxPool", x, order="NHWC", **args)


@operator("Add", "Sum")
def addition(u: Unit) -> Value:
    a, b = u.tensor(0), u.tensor(1)
    if len(u.inputs) != 2 or not a.has_rank or a.shape != b.shape:
        raise NotPortable("isn't a sum of two tensors of one shape")
    for x in (a, b):
        ratio(x.quantisation()[0] / np.float32(u.scale), 2.0**-14, 2.0**8, "scale of an input / Y_scale")
    return u.add("Int8Add", a, b)


@operator("Relu")
def rectified(u: Unit) -> Value:
    u.kept(u.tensor(0))
    return u.add("Int8Relu", u.tensor(0))


@operator("LeakyRelu")
def leaky(u: Unit) -> Value:
    if not 0 < u.node["alpha"] <= 1:
        raise NotPortable(f"alpha = {u.node['alpha']}, Caffe2's wants one above 0 and at most 1")
    return u.add("Int8LeakyRelu", u.tensor(0), alpha=u.node["alpha"])


@operator("Sigmoid", "Softmax")
def probabilities(u: Unit) -> Value:
    x, node = u.tensor(0), u.node
    if (np.float32(u.scale), u.zero) != (np.float32(1 / 256), 0):
        raise NotPortable(f"its output has the scale {u.scale:.6g}, Caffe2's always has 1/256 and the zero point 0")
    if node.type == "Softmax" and (x.rank != 2 or node["axis"] % 2 != 1):
        raise NotPortable("isn't over the columns of a matrix")
    return u.add(f"Int8{node.type}", x)


@operator("Concat")
def joined(u: Unit) -> Value:
    tensors = [u.tensor(i) for i in range(len(u.inputs))]
    u.kept(*tensors)
    axis = u.node["axis"] % tensors[0].rank
    return u.add("Int8Concat", *tensors, axis=LAST.index(axis) if tensors[0].rank == 4 else axis)


@operator("Transpose")
def transposed(u: Unit) -> Value:
    x = u.tensor(0)
    u.kept(x)
    axes = list(u.node["perm"] or range(x.rank)[::-1])
    return _transposed(u, x, [FIRST[axes[i]] for i in LAST] if x.rank == 4 else axes)


def _transposed(u: Unit, x: Value, axes: Sequence[int]) -> Value:
    return u.add("Int8Transpose", x, axes=list(axes))


@operator("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshaped(u: Unit) -> Value:
    """In the order of elements that the model has: channels go to their place first, but for images of one point."""
    x, node = u.tensor(0), u.node
    u.kept(x)
    axis = node["axis"] % _logical(u).rank if node.type == "Flatten" and node["axis"] < 0 else node["axis"]
    shape = _shape(u) if node.type != "Flatten" else [0, -1] if axis == 1 else [0, 0]
    if x.rank == 4 and (x.shape[1:3] != (1, 1) or 0 in shape[1:]):
        x = _transposed(u, x, FIRST)
    if node.type == "Flatten":
        return u.add("Int8Flatten", x, axis=axis)
    found = u.add("Int8Reshape", x, shape=shape)
    return _transposed(u, found, LAST) if len(shape) == 4 else found


def _shape(u: Unit) -> list[int]:
    """The shape that a node gives its input, -1 for the batch where that isn't known."""
    x, node, more = _logical(u), u.node, u.inputs[1] if len(u.inputs) > 1 else None
    if node.type == "Reshape":
        assert more is not None
        dims: list[Any] = list(more.dims or fixed(more, "its shape").tolist())
        return _one_open(dims)
    axes, dims = axes_of(node, more), list(x.shape)
    if node.type == "Unsqueeze":
        for axis in sorted(a % (x.rank + len(axes)) for a in axes):
            dims.insert(axis, 1)
    else:
        gone = {a % x.rank for a in axes} or {i for i, d in enumerate(dims) if d == 1}
        dims = [d for i, d in enumerate(dims) if i not in gone]
    return _one_open(dims)


def _one_open(dims: list[Any]) -> list[int]:
    """Dims with -1 for one that isn't known."""
    if sum(not isinstance(d, int) for d in dims) > 1:
        raise NotPortable("needs the dims of its input as numbers, all but one")
    return [d if isinstance(d, int) else -1 for d in dims]


@operator("Resize", "Upsample")
def enlarged(u: Unit) -> Value:
    """By whole factors, each element repeated."""
    x, node = u.image(), u.node
    u.kept(x)
    size = _logical(u).shape
    scales = u.inputs[2 if node.type == "Resize" and node.opset >= 11 else 1] if len(u.inputs) > 1 else None
    if node["mode"] != "nearest" or scales is None or scales.array is None or scales.array.size != 4:
        raise NotPortable("doesn't repeat elements a fixed number of times")
    factors = scales.array.tolist()
    down = node["coordinate_transformation_mode"] in (None, "asymmetric") and node["nearest_mode"] in (None, "floor")
    middle = node["coordinate_transformation_mode"] == "half_pixel" and node["nearest_mode"].startswith("round")
    if factors[:2] != [1, 1] or any(f != int(f) for f in factors) or not (down or middle) or len(size) != 4:
        raise NotPortable("doesn't repeat elements a fixed number of times")
    return u.add("Int8ResizeNearest", x, height_scale=factors[2], width_scale=factors[3])
