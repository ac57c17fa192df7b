"""Images: convolution, pooling, resizing, regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import FLOAT, Builder, NotPortable, Value
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.shape import padded


def window(node: Node, x: Value, kernel: list[int]) -> dict[str, Any]:
    """The arguments of a window of Caffe2: kernels, strides, dilations, pads."""
    rank = len(kernel)
    strides, dilations = (list(node[name] or [1] * rank) for name in ("strides", "dilations"))
    pads, auto = list(node["pads"] or [0] * 2 * rank), node["auto_pad"]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        heads, tails = [], []
        for i in range(rank):
            size = x.static(2 + i)
            total = max(0, (-(-size // strides[i]) - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - size)
            head = total // 2 if auto == "SAME_UPPER" else total - total // 2
            heads.append(head)
            tails.append(total - head)
        pads = heads + tails
    elif auto == "VALID":
        pads = [0] * 2 * rank
    return {"kernels": list(kernel), "strides": strides, "dilations": dilations, "pads": pads}


@rule("Conv")
def convolution(g: Builder, node: Node, x: Value, w: Value, b: Value | None = None) -> Value:
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    inputs = [v for v in (x, w, b) if v is not None]
    return g.over(FLOAT, "Conv", *inputs, **window(node, x, kernel), group=node["group"])


@rule("ConvTranspose")
def transposed(g: Builder, node: Node, x: Value, w: Value, b: Value | None = None) -> Value:
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    rank, group = len(kernel), node["group"]
    strides, dilations, adjs = (list(node[n] or [d] * rank) for n, d in (("strides", 1), ("dilations", 1), ("output_padding", 0)))
    if any(d != 1 for d in dilations):  # as a filter with zeros between its taps
        array = w.constant("its filter, which is spread by dilations")
        wide = np.zeros((*array.shape[:2], *(d * (k - 1) + 1 for d, k in zip(dilations, kernel))), array.dtype)
        wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilations))] = array
        w, kernel = g.constant(wide), list(wide.shape[2:])
    pads, auto = list(node["pads"] or [0] * 2 * rank), node["auto_pad"]
    if node["output_shape"] or auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = list(node["output_shape"] or [x.static(2 + i) * strides[i] for i in range(rank)])[-rank:]
        for i in range(rank):
            total = (x.static(2 + i) - 1) * strides[i] + adjs[i] + kernel[i] - wanted[i]
            if total < 0:
                adjs[i], total = adjs[i] - total, 0
            pads[i] = total // 2 if auto != "SAME_LOWER" else total - total // 2
            if node["output_shape"] and auto not in ("SAME_UPPER", "SAME_LOWER"):
                pads[i] = total // 2 if auto == "SAME_UPPER" else total - total // 2
            pads[i + rank] = total - pads[i]
    if rank not in (1, 2, 3):
        raise NotPortable(f"has {rank} spatial dims")
    inputs = [v for v in (x, w, b) if v is not None]
    trimmed = None
    if any(a >= s for a, s in zip(adjs, strides)):  # Caffe2 wants adj < stride: more padding at the tail takes it off
        raise NotPortable(f"output_padding {adjs} isn't less than strides {strides}")
    if rank == 1:  # Caffe2's has two dims
        inputs[:2] = [g.unsqueeze(v, 3) for v in inputs[:2]]
        kernel, strides, adjs, pads = [*kernel, 1], [*strides, 1], [*adjs, 0], [pads[0], 0, pads[1], 0]
    if group > 1 and rank == 3:
        raise NotPortable("has groups in three dims")
    found = g.over(FLOAT, "ConvTranspose", *inputs, kernels=kernel, strides=strides, pads=pads, adjs=adjs, group=group)
    del trimmed
    return g.squeeze(found, 3) if rank == 1 else found


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
    return g.cast(_pool(g, node, *g.accepted(FLOAT, x), args, extra, counted), x.dtype)


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
        return g.MaxPool(x, **{**args, "pads": pads, "dilations": None})  # type: ignore[no-any-return]
    if node.type == "LpPool":
        if dilated:
            raise NotPortable("has dilations")
        total = g.LpPool(x, **{**args, "pads": pads, "dilations": None}, p=float(node["p"])) if rank == 2 else None
        if total is not None:
            return total  # type: ignore[no-any-return]
        powers = g.Pow(g.Abs(x), exponent=float(node["p"]))
        mean = g.AveragePool(powers, kernels=args["kernels"], strides=args["strides"], pads=pads, count_include_pad=1)
        return g.Pow(g.Mul(mean, g.like(x, np.prod(args["kernels"]))), exponent=1.0 / node["p"])  # type: ignore[no-any-return]
    if not more and not dilated:
        whole = bool(node["count_include_pad"])
        return g.AveragePool(x, **{**args, "dilations": None}, count_include_pad=int(whole) or None)  # type: ignore[no-any-return]
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
    views = views[(..., *(slice(None, None, d) for d in args["dilations"]))]
    counts = views.sum(axis=tuple(range(-rank, 0)))
    # a filter of ones for each channel
    channels = x.static(1)
    filters = np.ones((channels, 1, *kernel), x.dtype)
    total = g.Conv(x, filters, **{**args, "pads": pads}, group=channels)
    return g.Div(total, g.constant(counts[None, None].astype(x.dtype)))  # type: ignore[no-any-return]


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
            cuts.append(g.op("Gather", wide, places, axis=axis))
        wide = g.Max(*cuts) if len(cuts) > 1 else cuts[0]
    return wide


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def whole_image(g: Builder, node: Node, x: Value) -> Value:
    (a,) = g.accepted(FLOAT, x)
    if node.type == "GlobalLpPool":
        return g.cast(g.LpPool(a, global_pooling=1, p=float(node["p"])), x.dtype)
    return g.cast(g.op(node.type.removeprefix("Global"), a, global_pooling=1), x.dtype)


@rule("Resize", "Upsample")
def resize(
    g: Builder, node: Node, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None
) -> Value:  # fmt: skip
    if node.type == "Upsample" or node.opset < 11:  # Resize had the scales second before 11, without a region
        roi, scales, sizes = None, roi, None
    along = [a % x.rank for a in node["axes"]] if node["axes"] else list(range(x.rank))
    factor = [1.0] * x.rank
    out: list[int | None] = [None] * x.rank
    if sizes is not None and (sizes.array is None or sizes.array.size):
        for i, axis in enumerate(along):
            out[axis] = int(sizes.constant("sizes")[i])
            factor[axis] = out[axis] / x.static(axis)  # type: ignore[operator]
        if node["keep_aspect_ratio_policy"] not in (None, "stretch"):
            choose = min if node["keep_aspect_ratio_policy"] == "not_larger" else max
            one = choose(factor[axis] for axis in along)
            for axis in along:
                factor[axis], out[axis] = one, int(np.floor(one * x.static(axis) + 0.5))
    elif node.has("scales") or scales is not None:
        given = node["scales"] if scales is None else scales.constant("scales").tolist()
        for i, axis in enumerate(along):
            factor[axis] = float(given[i])
    moved = [i for i, f in enumerate(factor) if f != 1 or out[i] not in (None, x.shape[i])]
    if not moved:
        return x
    coordinates = node["coordinate_transformation_mode"] or "asymmetric"
    whole = all(f == int(f) for f in factor)
    if node["mode"] == "nearest" and x.rank == 4 and min(moved) >= 2 and whole and x.dtype.kind == "f":
        floors = coordinates == "asymmetric" and (node["nearest_mode"] or "floor") == "floor"
        if floors or (coordinates == "half_pixel" and node["nearest_mode"] != "ceil" and node["nearest_mode"] != "floor"):
            return g.over(FLOAT, "ResizeNearest", x, height_scale=factor[2], width_scale=factor[3])
    if coordinates == "tf_crop_and_resize":
        raise NotPortable("crops a region")
    for axis in moved:
        x = _interpolated(g, node, x, axis, factor[axis], out[axis], coordinates)
    return x


def _interpolated(g: Builder, node: Node, x: Value, axis: int, scale: float, out: int | None, coordinates: str) -> Value:
    """One axis made longer or shorter: a product with a matrix of weights, or a choice of elements."""
    size = x.static(axis)
    length = int(np.floor(size * scale)) if out is None else out
    weights = weights_of(node, size, length, scale, coordinates, out is not None)
    if node["mode"] == "nearest":
        return g.op("Gather", x, weights.argmax(1).astype(np.int64), axis=axis)  # type: ignore[no-any-return]
    (a,) = g.accepted(FLOAT, x)
    last = g.moved(a, axis, -1)
    flat = g.reshape(last, [-1, size])
    found = g.MatMul(flat, g.constant(weights.T.astype(a.dtype)))
    dims = [d if isinstance(d, int) else 0 for d in last.shape[:-1]]
    return g.cast(g.moved(g.reshape(found, [*dims, length]), -1, axis), x.dtype)


def weights_of(node: Node, size: int, length: int, scale: float, coordinates: str, exact: bool) -> np.ndarray[Any, Any]:
    """How much each of `size` elements counts in each of `length` places."""
    at = np.arange(length)
    if coordinates == "align_corners":
        last = (length if exact else size * scale) - 1
        places = at * (size - 1) / last if length > 1 else np.zeros(1)
    elif coordinates == "asymmetric":
        places = at / scale
    elif coordinates == "half_pixel_symmetric":
        adjustment = length / (size * scale)
        places = size / 2 * (1 - adjustment) + (at + 0.5) / scale - 0.5
    elif coordinates == "pytorch_half_pixel" and length == 1:
        places = np.full(1, -0.5)
    else:
        places = (at + 0.5) / scale - 0.5
    found = np.zeros((length, size))
    if node["mode"] == "nearest":
        turn = {"round_prefer_floor": lambda v: np.ceil(v - 0.5), "round_prefer_ceil": lambda v: np.floor(v + 0.5),
                "floor": np.floor, "ceil": np.ceil}[node["nearest_mode"] or "floor"]  # fmt: skip
        found[at, np.clip(turn(places), 0, size - 1).astype(int)] = 1
        return found
    widen = max(1.0, 1 / scale) if node["antialias"] else 1.0
    reach = (1 if node["mode"] in ("linear", "bilinear") else 2) * widen
    for i, place in enumerate(places):
        taps = np.arange(int(np.floor(place - reach)) + 1, int(np.ceil(place + reach)) + (reach == int(reach)) * 0 + 1)
        share = _kernel(node, np.abs(taps - place) / widen)
        if node["exclude_outside"]:
            share = np.where((taps < 0) | (taps >= size), 0, share)
        if node["exclude_outside"] or node["antialias"]:
            share = share / share.sum()
        np.add.at(found[i], np.clip(taps, 0, size - 1), share)
    return found


def _kernel(node: Node, d: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The weight at a distance: a tent, or a cubic."""
    if node["mode"] != "cubic":
        return np.maximum(0, 1 - d)
    a = node["cubic_coeff_a"]
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@rule("RoiAlign")
def regions(g: Builder, node: Node, x: Value, rois: Value, batch: Value) -> Value:
    if node["mode"] != "avg":
        raise NotPortable("takes the maximum of the samples, Caffe2's RoIAlign their mean")
    boxes = g.join([g.unsqueeze(g.cast(batch, x.dtype), 1), rois], 1)
    aligned = node["coordinate_transformation_mode"] == "half_pixel" and node.opset >= 16
    return g.RoIAlign(  # type: ignore[no-any-return]
        x, boxes, pooled_h=node["output_height"], pooled_w=node["output_width"], sampling_ratio=node["sampling_ratio"],
        spatial_scale=node["spatial_scale"], aligned=int(aligned),
    )  # fmt: skip


@rule("DeformConv")
def deformed(g: Builder, node: Node, x: Value, w: Value, offset: Value, b: Value | None = None, mask: Value | None = None) -> Value:
    if mask is not None:
        raise NotPortable("has a mask, which Caffe2's DeformConv lacks")
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    inputs = [v for v in (x, offset, w, b) if v is not None]
    return g.DeformConv(  # type: ignore[no-any-return]
        *inputs, **window(node, x, kernel), group=node["group"], deformable_group=node["offset_group"]
    )
