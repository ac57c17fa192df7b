"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.image import placed_by_caffe2, window
from caffe2ops.port.from_onnx.rules.pad import padded
from caffe2ops.port.from_onnx.values import FLOAT, fixed
from caffe2ops.port.values import Value


@rule("MaxPool", "AveragePool", "LpPool")
def pool(g: Builder, node: Node, x: Value) -> list[Value]:
    kernel = list(node["kernel_shape"])
    if x.dtype.kind != "f":
        wide = g.cast(x, np.float32 if x.dtype.itemsize == 1 else np.float64)
    else:
        (wide,) = g.accepted(FLOAT, x)
    if node.type != "LpPool" and not node.wants(1) and (by_itself := placed_by_caffe2(node, x, kernel)):
        return [g.cast(g.one(node.type, wide, **by_itself), x.dtype)]
    args = window(node, x, kernel)
    extra, counted = _rounded_up(node, x, args)
    found = [g.cast(_pool(g, node, wide, args, extra, counted), x.dtype)]
    return [*found, _places(g, node, wide, args, extra)] if node.wants(1) else found


def _places(g: Builder, node: Node, x: Value, args: dict[str, Any], extra: list[int]) -> Value:
    """Where in the whole tensor the first of the greatest of each window stands."""
    rank, sizes = len(args["kernels"]), list(x.shape[2:])
    size = int(np.prod([x.static(2 + i) for i in range(rank)]))
    order: Any = "F" if node["storage_order"] else "C"
    around = [(h, t + e) for h, t, e in zip(args["pads"][:rank], args["pads"][rank:], extra)]
    table = windows(np.pad(np.arange(size).reshape(sizes), around, constant_values=-1), args)
    out = table.shape[:rank]
    table = table.reshape(int(np.prod(out)), -1)
    values = g.one("Gather", g.reshape(x, [0, 0, size]), table.clip(0).astype(np.int64), axis=2)
    if (table < 0).any():
        values = g.Add(values, g.constant(np.where(table < 0, -np.inf, 0).astype(x.dtype)))
    first = g.ArgMax(values, axis=3, keepdims=0)
    turned = np.arange(size).reshape(sizes).reshape(-1, order=order).argsort()[table.clip(0)]
    starts = np.arange(len(table), dtype=np.int64) * table.shape[1]
    found = g.one("Gather", turned.reshape(-1).astype(np.int64), g.Add(first, g.constant(starts)), axis=0)
    channels = x.static(1)
    if isinstance(x.shape[0], int):
        before = g.constant((np.arange(x.shape[0] * channels, dtype=np.int64) * size).reshape(-1, channels, 1))
    else:
        images = g.reshape(g.Mul(g.dims(x, 0), g.constant(np.int64(channels))), [])
        before = g.reshape(g.Mul(g.Range(images), g.constant(np.int64(size))), [-1, channels, 1])
    return g.reshape(g.Add(found, before), [0, 0, *out])


def windows(array: np.ndarray[Any, Any], args: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The windows of an array that is padded already, [*out, *kernel]."""
    extents = [d * (k - 1) + 1 for d, k in zip(args["dilations"], args["kernels"])]
    views = np.lib.stride_tricks.sliding_window_view(array, extents)
    views = views[tuple(slice(None, None, s) for s in args["strides"])]
    taps: Any = (..., *(slice(None, None, d) for d in args["dilations"]))
    found: np.ndarray[Any, Any] = views[taps]
    return found


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
            total = _sums(g, g.Pow(g.Abs(x), exponent=float(node["p"])), {**args, "pads": pads})
            return g.Pow(total, exponent=1.0 / node["p"])
        if rank == 2:
            return g.LpPool(x, **{**args, "pads": pads, "dilations": None}, p=float(node["p"]))
        powers = g.Pow(g.Abs(x), exponent=float(node["p"]))
        mean = g.AveragePool(powers, kernels=args["kernels"], strides=args["strides"], pads=pads, count_include_pad=1)
        return g.Pow(g.Mul(mean, g.like(x, np.prod(args["kernels"]))), exponent=1.0 / node["p"])
    if not more and not dilated:
        whole = bool(node["count_include_pad"])
        return g.AveragePool(x, **{**args, "dilations": None}, count_include_pad=int(whole) or None)
    return _average(g, node, x, args, pads)


def _average(g: Builder, node: Node, x: Value, args: dict[str, Any], pads: list[int]) -> Value:
    """Sums over windows, divided by how many elements of each count."""
    rank = len(args["kernels"])
    ones = np.ones([x.static(2 + i) for i in range(rank)])
    if node["count_include_pad"]:
        given = args["pads"]
        ones = np.pad(ones, [(given[i], given[i + rank]) for i in range(rank)], constant_values=1)
        around = [(0, pads[i + rank] - given[i + rank]) for i in range(rank)]
    else:
        around = [(pads[i], pads[i + rank]) for i in range(rank)]
    ones = np.pad(ones, around)
    counts = windows(ones, args).sum(axis=tuple(range(-rank, 0)))
    return g.Div(_sums(g, x, {**args, "pads": pads}), g.constant(counts[None, None].astype(x.dtype)))


def _sums(g: Builder, x: Value, args: dict[str, Any]) -> Value:
    """Sums over windows: a filter of ones for each channel."""
    channels = x.static(1)
    return g.Conv(x, np.ones((channels, 1, *args["kernels"]), x.dtype), **args, group=channels)


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


@rule("MaxUnpool")
def unpooled(g: Builder, node: Node, x: Value, places: Value, shape: Value | None = None) -> Value:
    """Elements put back where MaxPool found them, zeros around.

    Places are those of the smallest image, without output_shape, as in ONNX's node test; onnxruntime has them of that.
    """
    rank = len(node["kernel_shape"])
    strides, pads = list(node["strides"] or [1] * rank), list(node["pads"] or [0] * 2 * rank)
    dims = [
        (x.static(2 + i) - 1) * strides[i] + k - pads[i] - pads[i + rank] for i, k in enumerate(node["kernel_shape"])
    ]
    count = g.dims(x, 0)
    each = int(np.prod(dims)) * x.static(1)
    whole = g.constant(count.array * each) if count.array is not None else g.Mul(count, g.constant(np.int64(each)))
    flat = g.aten("index_put", g.full(whole, 0, x.dtype), *(g.reshape(v, [-1]) for v in (places, x)))
    flat.shape = [None]
    found = g.reshape(flat, [-1, x.static(1), *dims])
    if shape is None:
        return found
    tails = [int(d) - n for d, n in zip(fixed(shape, "output_shape")[2:], dims)]
    return padded(g, found, [0] * (2 + rank), [0, 0, *tails], "constant", 0)


@rule("Col2Im")
def image_of(g: Builder, node: Node, x: Value, image: Value, block: Value) -> Value:
    """Columns [N, C * taps, places] added up where they come from."""
    size, kernel = (fixed(v, name).tolist() for v, name in ((image, "image_shape"), (block, "block_shape")))
    rank = len(size)
    args = {name: list(node[name] or [1] * rank) for name in ("strides", "dilations")} | {"kernels": kernel}
    pads = list(node["pads"] or [0] * 2 * rank)
    wide = [n + h + t for n, h, t in zip(size, pads[:rank], pads[rank:])]
    rows = windows(np.arange(int(np.prod(wide))).reshape(wide), args)
    rows = np.moveaxis(rows, range(rank), range(-rank, 0)).reshape(-1).astype(np.int64)
    channels = x.static(1) // int(np.prod(kernel))
    parts = g.moved(g.reshape(x, [0, channels, len(rows)]), 2, 0)
    zeros = g.full(g.join([np.array([np.prod(wide)]), g.dims(x, 0), np.array([channels])], 0), 0, x.dtype)
    total = g.aten("index_put", zeros, rows, parts, accumulate=1)
    total.shape = [int(np.prod(wide)), x.shape[0], channels]
    found = g.reshape(g.moved(total, 0, 2), [0, channels, *wide])
    for i, n in enumerate(size):
        found = g.cut(found, 2 + i, pads[i], pads[i] + n)
    return found
