"""Images: convolution, pooling, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.ops.conv.geometry import CAFFE_LEGACY_POOLING, SAME, VALID
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import literal, operand
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer
from caffe2ops.port.values import NotPortable

Pads = list[int]


def to_first(x: Any, rank: int) -> str:
    """Channels from the last axis to axis 1, as source."""
    return f"{operand(str(x))}.movedim(-1, 1)" if rank > 2 else str(x)


def to_last(x: Any, rank: int) -> str:
    """Channels from axis 1 to the last axis, as source."""
    return f"{operand(str(x))}.movedim(1, -1)" if rank > 2 else str(x)


def first(t: Writer, op: Any, x: Tensor) -> str:
    """Images with channels in axis 1."""
    return str(t.let("nchw", to_first(x, x.rank))) if op.channels_last and x.rank > 2 else str(x)


def back(op: Any, text: str, rank: int) -> str:
    """A result in the order that the operator has."""
    return to_last(text, rank) if op.channels_last else text


def spatial(op: Any, x: Tensor) -> tuple[int | None, ...]:
    return x.shape[1:-1] if op.channels_last else x.shape[2:]


def windows(op: Any, x: Tensor) -> tuple[list[int], list[int], list[int], Pads, Pads]:
    """Kernel, strides, dilations, and padding at the heads and tails."""
    dims = spatial(op, x)
    rank = len(dims)
    kernel = op.spelled("kernels", rank, 0)
    if op.legacy_pad in (SAME, CAFFE_LEGACY_POOLING):
        if None in dims:
            raise NotPortable("needs height and width of X as numbers: its padding depends on them")
        found = op.windows(dims)
        heads, tails = [w.head for w in found], [w.tail for w in found]
    else:
        pads = [0] * 2 * rank if op.legacy_pad == VALID else op.explicit_pads(rank)
        heads, tails = pads[:rank], pads[rank:]
    return kernel, op.spelled("strides", rank, 1), op.spelled("dilations", rank, 1), heads, tails


def per_axis(numbers: Sequence[int]) -> str:
    """One number where all are the same, else a tuple."""
    return str(numbers[0]) if len(set(numbers)) == 1 else literal(tuple(numbers))


def padding(x: str, heads: Pads, tails: Pads, value: float = 0.0, mode: str = "") -> str:
    """Images with padding around, negative padding taking elements off."""
    if not any((*heads, *tails)):
        return x
    pads = [n for pair in reversed(list(zip(heads, tails))) for n in pair]
    how = f', mode="{mode}"' if mode else f", value={literal(value)}" if value else ""
    return f"F.pad({x}, {literal(tuple(pads))}{how})"


def padded(t: Writer, x: str, heads: Pads, tails: Pads, value: float = 0.0) -> str:
    """The same as a local."""
    text = padding(x, heads, tails, value)
    return text if text == x else str(t.let("padded", text))


def options(**given: tuple[Sequence[int] | int, int]) -> str:
    """Arguments that are not the default: name=(numbers, default)."""
    texts = []
    for name, (value, default) in given.items():
        numbers = [value] if isinstance(value, int) else list(value)
        if any(n != default for n in numbers):
            texts.append(f", {name}={per_axis(numbers)}")
    return "".join(texts)


@rule("Conv", "Conv1D", "Conv2D", "Conv3D")
def conv(t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None) -> str:
    return back(op, convolved(t, op, X, filter, bias), X.rank)


def convolved(
    t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None, x: str = "", w: str = ""
) -> str:
    """A convolution, channels in axis 1; x, w: images and filters that have them there."""
    rank = X.rank - 2
    if rank > 3:
        raise NotPortable(f"has {rank} spatial axes, PyTorch convolves over 3 at most")
    if op.global_pooling:
        strides, dilations, heads, tails = ([n] * rank for n in (1, 1, 0, 0))
    else:
        _, strides, dilations, heads, tails = windows(op, X)
    x, pads = x or first(t, op, X), heads
    if heads != tails or min(heads, default=0) < 0:
        x, pads = padded(t, x, heads, tails), [0] * rank
    given = options(stride=(strides, 1), padding=(pads, 0), dilation=(dilations, 1), groups=(op.group, 1))
    if filter.owned and (bias is None or bias.owned) and 1 <= rank <= 3:
        sizes = filter.shape[1:-1] if op.channels_last else filter.shape[2:]
        channels = filter.static(-1 if op.channels_last else 1) * op.group
        made = t.module(
            f"nn.Conv{rank}d({channels}, {filter.static(0)}, kernel_size={per_axis([n or 0 for n in sizes])}{given}"
            f"{', bias=False' if bias is None else ''})",
            {"weight": (filter, _filter_first(op)), **({} if bias is None else {"bias": (bias, _flat)})},
        )  # fmt: skip
        return f"{made}({x})"
    w = w or (to_first(filter, filter.rank) if op.channels_last else str(filter))
    return f"F.conv{rank}d({x}, {w}{'' if bias is None else f', {bias}'}{given})"


def _filter_first(op: Any) -> Any:
    """Filters as PyTorch holds them."""
    return (lambda a: np.moveaxis(a, -1, 1)) if op.channels_last else (lambda a: a)


def _flat(a: Any) -> Any:
    return a.reshape(-1)


@rule("ConvTranspose")
def conv_transpose(t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None) -> str:
    return back(op, transposed(t, op, X, filter, bias), X.rank)


def transposed(
    t: Writer, op: Any, X: Tensor, filter: Tensor, bias: Tensor | None = None, x: str = "", w: str = ""
) -> str:
    """A transposed convolution, channels in axis 1; x, w: images and filters that have them there.

    PyTorch lets no adjustment reach the stride, and pads alike on both sides; what is over is padded or cut.
    """
    pads = [0] * 4 if op.legacy_pad in (VALID, SAME) else op.explicit_pads(2)
    strides, adjs = op.spelled("strides", 2, 1), op.spelled("adjs", 2, 0)
    heads, tails = pads[:2], [p - a for p, a in zip(pads[2:], adjs)]
    extra = [h - tail for h, tail in zip(heads, tails)]  # elements more at the tail
    plain = all(0 <= e < s for e, s in zip(extra, strides)) and min(heads) >= 0
    if not plain:
        ahead, behind = [-h for h in heads], [-tail for tail in tails]
        given = options(stride=(strides, 1), groups=(op.group, 1))
    else:
        given = options(stride=(strides, 1), padding=(heads, 0), output_padding=(extra, 0), groups=(op.group, 1))
    x = x or first(t, op, X)
    inside = bias is not None and plain
    if filter.owned and (bias is None or (bias.owned and plain)):
        sizes = filter.shape[1:-1] if op.channels_last else filter.shape[2:]
        m = filter.static(-1 if op.channels_last else 1) * op.group
        made = t.module(
            f"nn.ConvTranspose2d({filter.static(0)}, {m}, kernel_size={per_axis([n or 0 for n in sizes])}{given}"
            f"{'' if inside else ', bias=False'})",
            {"weight": (filter, _filter_first(op)), **({"bias": (bias, _flat)} if inside else {})},
        )  # fmt: skip
        text = f"{made}({x})"
    else:
        w = w or (to_first(filter, filter.rank) if op.channels_last else str(filter))
        text = f"F.conv_transpose2d({x}, {w}{f', {bias}' if inside else ''}{given})"
    if not plain:
        text = padded(t, str(t.let("whole", text)), ahead, behind)
        text = text if bias is None else f"{text} + {bias}[:, None, None]"
        text = str(t.let("nchw", text)) if op.channels_last else text
    return text


@rule("MaxPool", "MaxPool1D", "MaxPool2D", "MaxPool3D")
def max_pool(t: Writer, op: Any, X: Tensor) -> str:
    rank = X.rank - 2
    if op.global_pooling:
        axes = range(1, X.rank - 1) if op.channels_last else range(2, X.rank)
        return f"{X}.amax({literal(tuple(axes))}, keepdim=True)" if rank else str(X)
    kernel, strides, _, heads, tails = windows(op, X)
    x, pads = first(t, op, X), heads
    if heads != tails or min(heads) < 0 or any(2 * p > k for p, k in zip(heads, kernel)):
        x, pads = padded(t, x, heads, tails, -np.inf), [0] * rank
    given = options(padding=(pads, 0))
    step = f", stride={per_axis(strides)}" if strides != kernel else ""
    return back(op, f"F.max_pool{rank}d({x}, {per_axis(kernel)}{step}{given})", X.rank)


@rule("AveragePool", "AveragePool1D", "AveragePool2D", "AveragePool3D")
def average_pool(t: Writer, op: Any, X: Tensor) -> str:
    rank = X.rank - 2
    if op.global_pooling:
        axes = range(1, X.rank - 1) if op.channels_last else range(2, X.rank)
        return f"{X}.mean({literal(tuple(axes))}, keepdim=True)" if rank else str(X)
    kernel, strides, _, heads, tails = windows(op, X)
    x = first(t, op, X)
    if heads != tails or any(not 0 <= 2 * p <= k for p, k in zip(heads, kernel)):
        if not op.count_include_pad:
            flat = [n for pair in reversed(list(zip(heads, tails))) for n in pair]
            return back(op, t.call("average_pool", x, flat, kernel, strides), X.rank)
        x, heads = padded(t, x, heads, tails), [0] * rank
    step = f", stride={per_axis(strides)}" if strides != kernel else ""
    given = options(padding=(heads, 0))
    count = ", count_include_pad=False" if given and not op.count_include_pad else ""
    return back(op, f"F.avg_pool{rank}d({x}, {per_axis(kernel)}{step}{given}{count})", X.rank)


@rule("LpPool")
def lp_pool(t: Writer, op: Any, X: Tensor) -> str:
    rank = X.rank - 2
    if op.global_pooling:
        axes = range(1, X.rank - 1) if op.channels_last else range(2, X.rank)
        return f"{X}.abs().pow({literal(op.p)}).sum({literal(tuple(axes))}, keepdim=True) ** {literal(1 / op.p)}"
    kernel, strides, _, heads, tails = windows(op, X)
    x = padded(t, first(t, op, X), heads, tails)
    powers = t.let("powers", f"{x}.abs() ** {literal(op.p)}")
    mean = f"F.avg_pool{rank}d({powers}, {per_axis(kernel)}, stride={per_axis(strides)})"
    return back(op, f"({mean} * {int(np.prod(kernel))}) ** {literal(1 / op.p)}", X.rank)


@rule("PadImage")
def pad_image(t: Writer, op: Any, X: Tensor) -> str:
    pads = op.explicit_pads(2)
    heads, tails, x = pads[:2], pads[2:], first(t, op, X)
    if op.mode == "constant":
        return back(op, padding(x, heads, tails, op.value), X.rank)
    if min(pads) < 0:  # what is taken off is taken off first
        x = padded(t, x, [min(p, 0) for p in heads], [min(p, 0) for p in tails])
        heads, tails = [max(p, 0) for p in heads], [max(p, 0) for p in tails]
    mode = {"edge": "replicate", "reflect": "reflect"}[op.mode]
    return back(op, padding(x, heads, tails, mode=mode), X.rank)


def resized(t: Writer, X: Tensor, factors: dict[int, float]) -> str:
    """Elements repeated or left out along axes."""
    text = str(X)
    for axis, scale in factors.items():
        if scale == 1:
            continue
        x = text if text == str(X) else str(t.let("part", text))
        whole = scale.is_integer()
        text = f"{x}.repeat_interleave({int(scale)}, {axis})" if whole else t.call("resize_nearest", x, axis, scale)
    return text


@rule("ResizeNearest", "ResizeNearest3D")
def resize_nearest(t: Writer, op: Any, X: Tensor, scales: Tensor | None = None) -> str:
    given = op.scales(None if scales is None else scales.constant("scales"))
    return resized(t, X, dict(zip(op.axes, map(float, given))))


@rule("UpsampleBilinear")
def upsample_bilinear(t: Writer, op: Any, X: Tensor, scales: Tensor | None = None) -> str:
    given = op.scales(None if scales is None else scales.constant("scales"))
    if all(float(scale).is_integer() for scale in given):  # then images may be of any size
        size = f"scale_factor={literal(tuple(map(int, given)))}"
    else:
        size = f"size={literal(tuple(int(np.float32(X.static(i)) * scale) for i, scale in zip(op.axes, given)))}"
    text = f'F.interpolate({first(t, op, X)}, {size}, mode="bilinear", align_corners=True)'
    return back(op, text, X.rank)


@rule("AffineChannel")
def affine_channel(t: Writer, op: Any, X: Tensor, scale: Tensor, bias: Tensor) -> str:
    fit = "" if op.channels_last or X.rank == 2 else f"[{', '.join([':', *['None'] * (X.rank - 2)])}]"
    return f"{X} * {scale}{fit} + {bias}{fit}"


@rule("MaxPoolWithIndex")
def max_pool_with_index(t: Writer, op: Any, X: Tensor) -> tuple[str, str]:
    kernel, strides, _, heads, tails = windows(op, X)
    if op.global_pooling or heads != tails or any(2 * p > k for p, k in zip(heads, kernel)):
        raise NotPortable("pads more at one side than at the other")
    given = options(padding=(heads, 0))
    call = f"F.max_pool2d({X}, {per_axis(kernel)}, stride={per_axis(strides)}{given}, return_indices=True)"
    found = t.let("found", call)
    return f"{found}[0]", f"{found}[1].flatten().int()"
