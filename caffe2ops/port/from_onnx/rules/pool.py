"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.image import window
from caffe2ops.port.from_onnx.rules.shape import padded
from caffe2ops.port.from_onnx.values import FLOAT
from caffe2ops.port.values import NotPortable, Value


@rule("MaxPool", "AveragePool", "LpPool")
def pool(g: Builder, node: Node, x: Value) -> Value:
    kernel = list(node["kernel_shape"])
    args = window(node, x, kernel)
    if node.wants(1):
        raise NotPortable("gives out the places of the maxima")
    extra, counted = _rounded_up(node, x, args)
    if x.dtype.kind != "f":
        wide = g.cast(x, np.float32 if x.dtype.itemsize == 1 else np.float64)
        return g.cast(_pool(g, node, wide, args, extra, counted), x.dtype)
    (wide,) = g.accepted(FLOAT, x)
    return g.cast(_pool(g, node, wide, args, extra, counted), x.dtype)


def _rounded_up(node: Node, x: Value, args: dict[str, Any]) -> tuple[list[int], bool]:
    """What must be added behind each axis so that the last window, begun inside, is whole; whether there is any."""
    rank = len(args["kernels"])
    if not node["ceil_mode"]:
        return [0] * rank, False
    extra = []
    for i in range(rank):
        size, stride = x.static(2 + i), args["strides"][i]
        extent = args["dilations"][i] * (args["kernels"][i] - 1) + 1
        head, tail = args["pads"][i], args["pads"][i + rank]
        out = -(-(size + head + tail - extent) // stride) + 1
        if (out - 1) * stride >= size + head:
            out -= 1
        extra.append(max(0, (out - 1) * stride + extent - size - head - tail))
    return extra, any(extra)


def _pool(g: Builder, node: Node, x: Value, args: dict[str, Any], extra: list[int], more: bool) -> Value:
    rank = len(args["kernels"])
    pads = [*args["pads"][:rank], *(t + e for t, e in zip(args["pads"][rank:], extra))]
    dilated = any(d != 1 for d in args["dilations"])
    if node.type == "MaxPool":
        if dilated or any(p >= k for p, k in zip(pads, args["kernels"] * 2)):
            return _dilated(g, x, {**args, "pads": pads}, "max")
        return g.MaxPool(x, **{**args, "pads": pads, "dilations": None})
    if node.type == "LpPool":
        if dilated:
            raise NotPortable("has dilations")
        total = g.LpPool(x, **{**args, "pads": pads, "dilations": None}, p=float(node["p"])) if rank == 2 else None
        if total is not None:
            return total
        powers = g.Pow(g.Abs(x), exponent=float(node["p"]))
        mean = g.AveragePool(powers, kernels=args["kernels"], strides=args["strides"], pads=pads, count_include_pad=1)
        return g.Pow(g.Mul(mean, g.like(x, np.prod(args["kernels"]))), exponent=1.0 / node["p"])
    if not more and not dilated:
        whole = bool(node["count_include_pad"])
        return g.AveragePool(x, **{**args, "dilations": None}, count_include_pad=int(whole) or None)
    return _average(g, node, x, args, pads)


def _average(g: Builder, node: Node, x: Value, args: dict[str, Any], pads: list[int]) -> Value:
    """Sums over windows, divided by how many elements of each count."""
    rank, kernel = len(args["kernels"]), args["kernels"]
    ones = np.ones([x.static(2 + i) for i in range(rank)])
    if node["count_include_pad"]:
        given = args["pads"]
        ones = np.pad(ones, [(given[i], given[i + rank]) for i in range(rank)], constant_values=1)
        around = [(0, pads[i + rank] - given[i + rank]) for i in range(rank)]
    else:
        around = [(pads[i], pads[i + rank]) for i in range(rank)]
    ones = np.pad(ones, around)
    extents = [d * (k - 1) + 1 for d, k in zip(args["dilations"], kernel)]
    views = np.lib.stride_tricks.sliding_window_view(ones, extents)
    views = views[tuple(slice(None, None, s) for s in args["strides"])]
    taps: Any = (..., *(slice(None, None, d) for d in args["dilations"]))
    views = views[taps]
    counts = views.sum(axis=tuple(range(-rank, 0)))
    # a filter of ones for each channel
    channels = x.static(1)
    filters = np.ones((channels, 1, *kernel), x.dtype)
    total = g.Conv(x, filters, **{**args, "pads": pads}, group=channels)
    return g.Div(total, g.constant(counts[None, None].astype(x.dtype)))


def _dilated(g: Builder, x: Value, args: dict[str, Any], how: str) -> Value:
    """The greatest of each window: the axes one by one, as the greatest of shifted cuts."""
    rank = len(args["kernels"])
    least = np.finfo(x.dtype).min if x.dtype.kind == "f" else 0
    wide = padded(g, x, [0, 0, *args["pads"][:rank]], [0, 0, *args["pads"][rank:]], "constant", least)
    for i in range(rank):
        axis, stride, dilation, kernel = 2 + i, args["strides"][i], args["dilations"][i], args["kernels"][i]
        size = wide.static(axis)
        out = (size - dilation * (kernel - 1) - 1) // stride + 1
        cuts = []
        for tap in range(kernel):
            places = np.arange(out, dtype=np.int64) * stride + tap * dilation
            cuts.append(g.one("Gather", wide, places, axis=axis))
        wide = g.Max(*cuts) if len(cuts) > 1 else cuts[0]
    return wide


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def whole_image(g: Builder, node: Node, x: Value) -> Value:
    (a,) = g.accepted(FLOAT, x)
    if node.type == "GlobalLpPool":
        return g.cast(g.LpPool(a, global_pooling=1, p=float(node["p"])), x.dtype)
    return g.cast(g.op(node.type.removeprefix("Global"), a, global_pooling=1), x.dtype)
