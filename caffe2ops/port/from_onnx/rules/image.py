"""Images: convolution, and regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.ops.conv.geometry import CAFFE_LEGACY_POOLING, SAME
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.pad import padded
from caffe2ops.port.from_onnx.values import FLOAT, fixed
from caffe2ops.port.values import NotPortable, Value


def window(node: Node, x: Value, kernel: list[int]) -> dict[str, Any]:
    """The arguments of a window of Caffe2: kernels, strides, dilations, pads."""
    rank = len(kernel)
    strides, dilations = (list(node[name] or [1] * rank) for name in ("strides", "dilations"))
    pads, auto = list(node["pads"] or [0] * 2 * rank), node["auto_pad"]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        heads, tails = [], []
        for i in range(rank):
            size = x.static(2 + i) if strides[i] > 1 else 0  # one step at a time needs the same for all sizes
            total = max(0, (-(-size // strides[i]) - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - size)
            head = total // 2 if auto == "SAME_UPPER" else total - total // 2
            heads.append(head)
            tails.append(total - head)
        pads = heads + tails
    elif auto == "VALID":
        pads = [0] * 2 * rank
    return {"kernels": list(kernel), "strides": strides, "dilations": dilations, "pads": pads}


def placed_by_caffe2(node: Node, x: Value, kernel: list[int]) -> dict[str, Any] | None:
    """The arguments of a window over an image of open dims that Caffe2's legacy_pad places as ONNX does; else None."""
    rank = len(kernel)
    strides, pads = list(node["strides"] or [1] * rank), list(node["pads"] or [0] * 2 * rank)
    rounded_up = bool(node["ceil_mode"]) and node["auto_pad"] == "NOTSET" and pads[:rank] == pads[rank:]
    if not rounded_up and node["auto_pad"] != "SAME_UPPER":
        return None
    if all(isinstance(d, int) for d in x.shape[2:]) or any(d != 1 for d in node["dilations"] or ()):
        return None
    if any(s > k or p >= k for s, k, p in zip(strides, kernel, pads)):
        return None
    if node["count_include_pad"] and (not rounded_up or any(pads)):
        return None
    args: dict[str, Any] = {"kernels": kernel, "strides": strides}
    return {**args, "pads": pads, "legacy_pad": CAFFE_LEGACY_POOLING} if rounded_up else {**args, "legacy_pad": SAME}


@rule("Conv")
def convolution(g: Builder, node: Node, x: Value, w: Value, b: Value | None = None) -> Value:
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    inputs = [v for v in (x, w, b) if v is not None]
    args = placed_by_caffe2(node, x, kernel) or window(node, x, kernel)
    return g.over(FLOAT, "Conv", *inputs, **args, group=node["group"])


@rule("ConvTranspose")
def transposed(g: Builder, node: Node, x: Value, w: Value, b: Value | None = None) -> Value:
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    rank, group = len(kernel), node["group"]
    strides, dilations, adjs = (
        list(node[n] or [d] * rank) for n, d in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel)]
    pads = _padding(node, x, extents, strides, adjs)
    spread = any(d != 1 for d in dilations)
    if rank > 2 or (spread and w.array is None) or any(a >= s for a, s in zip(adjs, strides)):
        return _by_zeros(g, (x, w, b), strides, dilations, pads, adjs, group)
    if spread:  # as a filter with zeros between its taps
        array = fixed(w, "its filter")
        wide = np.zeros((*array.shape[:2], *extents), array.dtype)
        taps = (slice(None), slice(None), *(slice(None, None, d) for d in dilations))
        wide[taps] = array
        w = g.constant(wide)
    inputs, kernel = [v for v in (x, w, b) if v is not None], extents
    if rank == 1:  # Caffe2's has two dims
        inputs[:2] = [g.unsqueeze(v, 3) for v in inputs[:2]]
        kernel, strides, adjs, pads = [*kernel, 1], [*strides, 1], [*adjs, 0], [pads[0], 0, pads[1], 0]
    found = g.over(FLOAT, "ConvTranspose", *inputs, kernels=kernel, strides=strides, pads=pads, adjs=adjs, group=group)
    return g.squeeze(found, 3) if rank == 1 else found


def _padding(node: Node, x: Value, extents: list[int], strides: list[int], adjs: list[int]) -> list[int]:
    """What a transposed convolution takes off at heads and tails; where that is below 0 `adjs` becomes more."""
    rank, auto = len(extents), node["auto_pad"]
    pads = list(node["pads"] or [0] * 2 * rank)
    if not node["output_shape"] and auto not in ("SAME_UPPER", "SAME_LOWER"):
        return pads
    wanted = list(node["output_shape"] or [x.static(2 + i) * strides[i] for i in range(rank)])[-rank:]
    for i in range(rank):
        total = (x.static(2 + i) - 1) * strides[i] + adjs[i] + extents[i] - wanted[i]
        if total < 0:
            adjs[i], total = adjs[i] - total, 0
        pads[i] = total // 2 if auto == "SAME_UPPER" else total - total // 2
        pads[i + rank] = total - pads[i]
    return pads


def _by_zeros(
    g: Builder, inputs: Sequence[Value | None], strides: list[int], dilations: list[int], pads: list[int],
    adjs: list[int], group: int,
) -> Value:  # fmt: skip
    """A transposed convolution as a convolution with the filter turned, of images with zeros between their elements."""
    x, w, b = inputs
    assert x is not None
    assert w is not None
    dtype, rank = x.dtype, len(strides)
    x, w = g.accepted(FLOAT, x, w)
    for i, stride in enumerate(strides):
        if stride > 1:
            wide = g.Mul(g.unsqueeze(x, 3 + i), np.eye(1, stride, dtype=x.dtype).reshape(stride, *[1] * (rank - 1 - i)))
            dims, wider = list(x.shape), x.static(2 + i) * stride
            dims[2 + i] = wider
            x = g.cut(g.reshape_to(wide, dims), 2 + i, 0, wider - stride + 1)
    reach = [d * (w.static(2 + i) - 1) for i, d in enumerate(dilations)]
    heads = [r - p for r, p in zip(reach, pads[:rank])]
    tails = [r - p + a for r, p, a in zip(reach, pads[rank:], adjs)]
    x = padded(g, x, [0, 0, *(min(n, 0) for n in heads)], [0, 0, *(min(n, 0) for n in tails)], "constant", 0)
    around = [max(n, 0) for n in (*heads, *tails)]
    filters, more = _turned(g, w, group), [] if b is None else [g.cast(b, x.dtype)]
    kernel = list(filters.shape[2:])
    return g.cast(g.Conv(x, filters, *more, kernels=kernel, pads=around, dilations=dilations, group=group), dtype)


def _turned(g: Builder, w: Value, group: int) -> Value:
    """The filter [C, M / group, taps] of a transposed convolution as that of a convolution, [M, C / group, taps]."""
    taps, parts = list(w.shape[2:]), [w.static(0) // group, w.static(1)]
    order, wanted = [0, 2, 1, *range(3, 1 + w.rank)], [group * parts[1], parts[0], *taps]
    if w.array is not None:
        turned = np.flip(w.array, tuple(range(2, w.rank))).reshape(group, *parts, *taps)
        return g.constant(turned.transpose(order).reshape(wanted))
    flipped = g.aten("flip", w, dims=list(range(2, w.rank)))
    flipped.shape = w.shape
    return g.reshape(g.transpose(g.reshape(flipped, [group, *parts, *taps]), order), wanted)


@rule("RoiAlign")
def regions(g: Builder, node: Node, x: Value, rois: Value, batch: Value) -> Value:
    if node["mode"] != "avg":
        raise NotPortable("takes the maximum of the samples, Caffe2's RoIAlign their mean")
    boxes = g.join([g.unsqueeze(g.cast(batch, x.dtype), 1), rois], 1)
    aligned = node["coordinate_transformation_mode"] == "half_pixel" and node.opset >= 16
    return g.RoIAlign(
        x, boxes, pooled_h=node["output_height"], pooled_w=node["output_width"], sampling_ratio=node["sampling_ratio"],
        spatial_scale=node["spatial_scale"], aligned=int(aligned),
    )  # fmt: skip
