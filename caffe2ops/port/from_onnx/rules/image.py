"""Images: convolution, and regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
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
    strides, dilations, adjs = (
        list(node[n] or [d] * rank) for n, d in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    if any(d != 1 for d in dilations):  # as a filter with zeros between its taps
        array = fixed(w, "its filter, which is spread by dilations")
        wide = np.zeros((*array.shape[:2], *(d * (k - 1) + 1 for d, k in zip(dilations, kernel))), array.dtype)
        taps = (slice(None), slice(None), *(slice(None, None, d) for d in dilations))
        wide[taps] = array
        w, kernel = g.constant(wide), list(wide.shape[2:])
    pads, auto = list(node["pads"] or [0] * 2 * rank), node["auto_pad"]
    if node["output_shape"] or auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = list(node["output_shape"] or [x.static(2 + i) * strides[i] for i in range(rank)])[-rank:]
        for i in range(rank):
            total = (x.static(2 + i) - 1) * strides[i] + adjs[i] + kernel[i] - wanted[i]
            if total < 0:
                adjs[i], total = adjs[i] - total, 0
            less_in_front = auto == "SAME_UPPER"
            pads[i] = total // 2 if less_in_front else total - total // 2
            pads[i + rank] = total - pads[i]
    if rank not in (1, 2, 3):
        raise NotPortable(f"has {rank} spatial dims")
    inputs = [v for v in (x, w, b) if v is not None]
    if any(a >= s for a, s in zip(adjs, strides)):  # Caffe2 wants adj < stride: more padding at the tail takes it off
        raise NotPortable(f"output_padding {adjs} isn't less than strides {strides}")
    if rank == 1:  # Caffe2's has two dims
        inputs[:2] = [g.unsqueeze(v, 3) for v in inputs[:2]]
        kernel, strides, adjs, pads = [*kernel, 1], [*strides, 1], [*adjs, 0], [pads[0], 0, pads[1], 0]
    if group > 1 and rank == 3:
        raise NotPortable("has groups in three dims")
    found = g.over(FLOAT, "ConvTranspose", *inputs, kernels=kernel, strides=strides, pads=pads, adjs=adjs, group=group)
    return g.squeeze(found, 3) if rank == 1 else found


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


@rule("DeformConv")
def deformed(
    g: Builder, node: Node, x: Value, w: Value, offset: Value, b: Value | None = None, mask: Value | None = None
) -> Value:
    if mask is not None:
        raise NotPortable("has a mask, which Caffe2's DeformConv lacks")
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    inputs = [v for v in (x, offset, w, b) if v is not None]
    return g.DeformConv(*inputs, **window(node, x, kernel), group=node["group"], deformable_group=node["offset_group"])
