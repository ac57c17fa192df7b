"""Images: resizing, shuffling, regions."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def nearest(x: Tensor, axis: int, count: int, factor: Tensor) -> Tensor:
    """`count` elements along an axis: place y takes element int(y / factor)."""
    source = (torch.arange(count, dtype=torch.float32) / factor).long()
    return x.index_select(axis, source.clamp(max=x.shape[axis] - 1).to(x.device))


def resize_nearest(x: Tensor, axis: int, scale: float) -> Tensor:
    """Another size along an axis by a factor, in float32."""
    factor = torch.tensor(scale, dtype=torch.float32)
    return nearest(x, axis, int(torch.tensor(float(x.shape[axis])) * factor), factor)


def resize_nearest_to(x: Tensor, axis: int, count: int) -> Tensor:
    """Another size along an axis, in float32."""
    return nearest(x, axis, count, torch.tensor(float(count)) / x.shape[axis])


def channel_shuffle(x: Tensor, groups: int, axis: int = 1) -> Tensor:
    """Channel k of group i moves to place k * groups + i."""
    shape = (*x.shape[:axis], groups, -1, *x.shape[axis + 1 :])
    return x.reshape(shape).transpose(axis, axis + 1).reshape(x.shape)


def average_pool(
    x: Tensor,
    pads: list[int],
    size: list[int],
    step: list[int],
) -> Tensor:
    """The mean over windows, padding (as F.pad takes it) not counted."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    there: Tensor = pool(F.pad(torch.ones_like(x), pads), size, step)
    total: Tensor = pool(F.pad(x, pads), size, step)
    return total / there


def local_response(
    x: Tensor,
    size: int,
    alpha: float,
    bias: float,
    axis: int,
) -> Tensor:
    """bias + alpha / size * the sum of the squares of `size` channels around each."""
    before = (size - 1) // 2
    squares = (x * x).movedim(axis, -1)
    around = F.pad(squares, (before, size - 1 - before)).unfold(-1, size, 1).sum(-1)
    return (around * (alpha / size) + bias).movedim(-1, axis)


def bilinear_taps(at: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two elements around each place, how far behind the first, and if inside."""
    inside = (at >= -1.0) & (at <= size)
    at = at.clamp(min=0.0)
    low = at.floor().long().clamp(max=size - 1)
    at = torch.where(low >= size - 1, low.to(at.dtype), at)
    return low, (low + 1).clamp(max=size - 1), at - low, inside


def roi_align(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    scale: float,
    ratio: int = 0,
    aligned: bool = False,
) -> Tensor:
    """The mean of bilinear samples in each bin of regions [R, (index), x1, y1, x2, y2]."""
    height, width = x.shape[2:]
    index = (rois[:, 0] if rois.shape[1] == 5 else rois.new_zeros(len(rois))).long()
    boxes = rois[:, -4:] * scale - (0.5 if aligned else 0.0)
    pooled = []
    for picture, (left, top, right, bottom) in zip(index.tolist(), boxes.unbind(0)):
        extent = torch.stack((bottom - top, right - left))
        extent = extent if aligned else extent.clamp(min=1.0)
        places = []
        for start, length, bins in zip((top, left), extent, size):
            each = length / bins
            count = ratio if ratio > 0 else max(int(torch.ceil(each)), 0)
            steps = torch.arange(bins * count, device=x.device).to(x.dtype)
            bin_ = steps.div(max(count, 1), rounding_mode="floor")
            tap = (steps % max(count, 1) + 0.5) * each / max(count, 1)
            places.append((count, start + bin_ * each + tap))
        (rows, at_y), (columns, at_x) = places
        y0, y1, dy, in_y = bilinear_taps(at_y, height)
        x0, x1, dx, in_x = bilinear_taps(at_x, width)
        dy, dx = dy[:, None], dx[None, :]
        plane = x[picture]
        upper = plane[:, y0][:, :, x0] * (1 - dx) + plane[:, y0][:, :, x1] * dx
        lower = plane[:, y1][:, :, x0] * (1 - dx) + plane[:, y1][:, :, x1] * dx
        samples = (upper * (1 - dy) + lower * dy) * (in_y[:, None] & in_x[None, :])
        shape = (-1, size[0], rows, size[1], columns)
        if rows and columns:
            total = samples.reshape(shape).sum((2, 4))
        else:
            total = plane.new_zeros(plane.shape[0], *size)
        pooled.append(total / (rows * columns))
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *size)


def space_to_batch(x: Tensor, block: int) -> Tensor:
    """Each of block * block pictures takes every block-th row and column."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels, height // block, block, width // block, block)
    return parts.permute(3, 5, 0, 1, 2, 4).flatten(0, 2)


def batch_to_space(x: Tensor, block: int) -> Tensor:
    """The pictures that space_to_batch took apart, put together."""
    parts = x.reshape(block, block, -1, *x.shape[1:])
    return parts.permute(2, 3, 4, 0, 5, 1).flatten(4, 5).flatten(2, 3)


def tiled_noise(noise: Tensor, height: int, width: int) -> Tensor:
    """Noise [3, height, width] of a few numbers over and over, colours first."""
    count = torch.arange(height * width * 3, device=noise.device)
    return noise[count % noise.numel()].reshape(height, width, 3).movedim(-1, 0)
