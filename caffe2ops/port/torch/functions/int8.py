"""Bytes with a scale and a zero point, real value = scale * (byte - zero point)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def quantise(x: Tensor, scale: float, zero: int) -> Tensor:
    """The nearest bytes, halves to the even one."""
    steps = (x * (1 / torch.tensor(scale))).round().nan_to_num(0.0)
    return (steps.clamp(-512, 512) + zero).clamp(0, 255).to(torch.uint8)


def dequantise(x: Tensor, scale: float, zero: int) -> Tensor:
    """The real values of bytes."""
    return (x.float() - zero) * scale


def centred(x: Tensor, zero: int) -> Tensor:
    """Bytes less their zero point, as numbers whose products add up exactly."""
    return x.double() - zero


def centred_images(x: Tensor, zero: int) -> Tensor:
    """The same of images or filters, channels from the last axis to axis 1."""
    return centred(x, zero).movedim(-1, 1)


def as_bytes(values: Tensor, zero: int, least: int = 0) -> Tensor:
    """Whole numbers put to the zero point and cut off."""
    return (values + zero).clamp(least, 255).to(torch.uint8)


def shifted(values: Tensor, shift: int) -> Tensor:
    """values / 2^shift to the nearest, halves away from 0."""
    mask: int = 2**shift - 1
    rest = (values & mask) - (values < 0).long()
    return (values >> shift) + (rest > mask >> 1)


def rescaled(sums: Tensor, scale: float) -> Tensor:
    """sums * scale, scale < 1, rounded twice: behind 31 bits, and when shifted."""
    fraction, exponent = math.frexp(scale)
    product = sums * round(fraction * 2**31)
    return shifted((product + 2**30) >> 31, -exponent)


def requantised(
    sums: Tensor,
    bias: Tensor | None,
    scale: float,
    zero: int,
    least: int = 0,
) -> Tensor:
    """Bytes, channels last, of sums of products, channels in axis 1."""
    whole = sums.movedim(1, -1).round().long()
    if bias is not None:
        whole = whole + bias
    return as_bytes(rescaled(whole, torch.tensor(scale).item()), zero, least)


def added_bytes(
    a: Tensor,
    b: Tensor,
    scales: tuple[float, float],
    zeros: tuple[int, int],
    zero: int,
    least: int = 0,
) -> Tensor:
    """The bytes of a sum; scales: those of a and b by that of the sum, of 22 bits."""
    factors = torch.tensor(scales).tolist()
    shift = 22 - math.frexp(max(factors))[1]
    x = (a.long() - zeros[0]) * round(factors[0] * 2**shift)
    y = (b.long() - zeros[1]) * round(factors[1] * 2**shift)
    return as_bytes(shifted(x + y, shift), zero, least)


def windows_last(
    x: Tensor,
    sizes: list[int],
    steps: list[int],
    pads: list[int],
) -> Tensor:
    """The elements of each window of pictures [N, H, W, C], in a dim at the end."""
    x = F.pad(x, (0, 0, *pads))
    for axis, (size, step) in enumerate(zip(sizes, steps), 1):
        x = x.unfold(axis, size, step)
    return x.flatten(-len(sizes))


def average_bytes(
    x: Tensor,
    sizes: list[int],
    steps: list[int],
    pads: list[int],
    scales: tuple[float, float],
    zeros: tuple[int, int],
    least: int = 0,
) -> Tensor:
    """The mean over windows; scales and zero points: of x, and of what it becomes."""
    sums = windows_last(x.long() - zeros[0], sizes, steps, pads).sum(-1)
    before, after = torch.tensor(scales)
    fraction, exponent = math.frexp(before / (after * math.prod(sizes)))
    product = sums * round(fraction * 2**24)
    half = 2 ** (23 - exponent)
    means = (product - (product < 0).long() + half) >> (24 - exponent)
    return as_bytes(means, zeros[1], least)


def softmax_bytes(x: Tensor, scale: float) -> Tensor:
    """Softmax over all dims but the first, in steps of 1/256."""
    rows = x.flatten(1).long()
    unit = min((2**32 - 1) / max(rows.shape[1], 1), 2**23 - 1)
    below = torch.arange(-255, 1, dtype=torch.float64, device=x.device)
    table = (unit * (below * torch.tensor(scale).item()).exp()).round().long()
    powers = table[rows + 255 - rows.amax(1, keepdim=True)]
    total = powers.sum(1, keepdim=True)
    return as_bytes((powers * 256 + (total >> 1)) // total, 0).reshape(x.shape)


def bilinear_weights(
    start: Tensor,
    end: Tensor,
    size: int,
    bins: int,
    ratio: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Elements before and behind each sample along a side, and the weights of both."""
    step = (end - start).clamp(min=1.0) / bins
    count = ratio if ratio > 0 else int(step.ceil())
    within = (torch.arange(count, device=start.device) + 0.5) * step / count
    corners = start + torch.arange(bins, device=start.device) * step
    at = (corners[:, None] + within).flatten()
    inside = (at >= -1) & (at <= size)
    at = at.clamp(0, size - 1)
    low = at.long()
    part = at - low
    return low, (low + 1).clamp(max=size - 1), (1 - part) * inside, part * inside


def roi_align_bytes(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    ratio: int,
    scales: tuple[float, float],
    zeros: tuple[int, int],
) -> Tensor:
    """The mean of samples in each bin of regions [R, (index), x1, y1, x2, y2] of pictures
    [N, H, W, C], weights in steps of 1/255; scales and zero points: before and after."""
    index = (rois[:, 0] if rois.shape[1] == 5 else rois.new_zeros(len(rois))).long()
    before, after = torch.tensor(scales).tolist()
    pooled = []
    for picture, box in zip(x[index].long(), rois[:, -4:] * spatial_scale):
        left, top, right, bottom = box
        rows = bilinear_weights(top, bottom, x.shape[1], size[0], ratio)
        columns = bilinear_weights(left, right, x.shape[2], size[1], ratio)
        sums = torch.tensor(-255 * zeros[0])
        for row, down in zip(rows[:2], rows[2:]):
            for column, across in zip(columns[:2], columns[2:]):
                weights = (down[:, None] * across * 255).round().long()
                sums = sums + weights[:, :, None] * picture[row][:, column]
        tall, wide = sums.shape[0] // size[0], sums.shape[1] // size[1]
        bins = sums.reshape(size[0], tall, size[1], wide, x.shape[3])
        samples = tall * wide
        scale = before / (after * 255 * samples)
        pooled.append(as_bytes(rescaled(bins.sum((1, 3)), scale), zeros[1]))
    return torch.stack(pooled) if pooled else x.new_zeros(0, *size, x.shape[3])
