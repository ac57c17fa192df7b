"""Windows over pictures: columns, filters of their own at each place, taps that are moved."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.image import (
    back,
    convolved,
    first,
    options,
    padded,
    padding,
    windows,
)
from caffe2ops.port.torch.text import literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer


@rule("ConvRelu")
def conv_relu(t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None) -> str:
    return back(op, f"F.relu({convolved(t, op, X, filter, bias)})", X.rank)


@rule("Im2Col")
def im2col(t: Writer, op: Any, X: Tensor) -> str:
    """Channels and taps of a patch share an axis, channels outermost, or innermost where they are last."""
    kernel, strides, dilations, heads, tails = windows(op, X)
    text = padded(t, first(t, op, X), heads, tails)
    for axis, (size, stride, dilation) in enumerate(zip(kernel, strides, dilations), 2):
        text += f".unfold({axis}, {dilation * (size - 1) + 1}, {stride})"
    if any(d > 1 for d in dilations):
        text += f"[..., {', '.join(f'::{d}' for d in dilations)}]"
    taps = t.let("taps", text)
    order, join = ("0, 2, 3, 4, 5, 1", "3") if op.channels_last else ("0, 1, 4, 5, 2, 3", "1, 3")
    return f"{taps}.permute({order}).flatten({join})"


@rule("Col2Im")
def col2im(t: Writer, op: Any, columns: Tensor, X: Tensor) -> str:
    kernel, strides, dilations, heads, tails = windows(op, X)
    rows, width = (X.dim(i) for i in ((1, 2) if op.channels_last else (2, 3)))
    taps = kernel[0] * kernel[1]
    flat = f"{columns}.flatten(2)"
    if op.channels_last:
        flat = f"{columns}.movedim(-1, 1).unflatten(1, ({taps}, -1)).transpose(1, 2).flatten(1, 2).flatten(2)"
        flat = str(t.let("columns", flat))
    sizes = [side if not h + tail else f"{side} + {h + tail}" for side, h, tail in zip((rows, width), heads, tails)]
    given = options(dilation=(dilations, 1), stride=(strides, 1))
    whole = f"F.fold({flat}, ({', '.join(sizes)}), {literal(tuple(kernel))}{given})"
    whole = str(t.let("whole", whole)) if any((*heads, *tails)) or op.channels_last else whole
    return back(op, padding(whole, [-h for h in heads], [-tail for tail in tails]), 4)


@rule("LC", "LC1D", "LC2D", "LC3D")
def locally_connected(t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None) -> str:
    rank = X.rank - 2
    x, strides, dilations = first(t, op, X), [1] * rank, [1] * rank
    if not op.global_pooling:
        _, strides, dilations, heads, tails = windows(op, X)
        x = padded(t, x, heads, tails)
    weights = f"{filter}.movedim(-1, {rank + 1})" if op.channels_last else str(filter)
    made = t.call("locally_connected", x, weights, "None" if bias is None else bias, strides, dilations)
    return back(op, str(t.let("nchw", made)), X.rank) if op.channels_last else made


@rule("DeformConv")
def deform_conv(t: Writer, op: Any, X: Tensor, offset: Tensor, filter: Tensor, bias: Tensor | None = None) -> str:
    _, strides, dilations, heads, _ = windows(op, X)
    given = {"groups": op.deformable_group, "steps": strides, "pads": heads, "dilations": dilations}
    return t.call("deform_conv", X, offset, filter, "None" if bias is None else bias, **given)


@rule("NormalizePlanarYUV")
def normalize_planes(t: Writer, op: Any, X: Tensor, mean: Tensor, deviation: Tensor) -> str:
    return f"({X} - {mean}[0, :, None, None]) / {deviation}[0, :, None, None]"


@rule("IntegralImage")
def integral_image(t: Writer, op: Any, X: Tensor) -> str:
    t.note("IntegralImage: Caffe2's gradient of it is not its derivative, PyTorch's is")
    sums = t.let("sums", f"{X}.cumsum(2, dtype=torch.float64).cumsum(3)")
    return f"F.pad({sums}.to({X}.dtype), (1, 0, 1, 0))"
