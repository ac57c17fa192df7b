"""Regions of pictures, and where something lies in them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caffe2ops.port.torch.functions.windows import interpolated


def bin_edges(start: Tensor, end: Tensor, bins: int, size: int) -> list[list[int]]:
    """The first element of each bin along a side, and the one behind the last."""
    half = torch.tensor(0.5, dtype=torch.float64)
    first = (start + torch.copysign(half, start)).trunc()
    last = (end + torch.copysign(half, end)).trunc()
    step = (last - first + 1).clamp(min=1).to(start.dtype) / bins
    places = torch.arange(bins, device=start.device)
    edges = torch.stack(((places * step).floor(), ((places + 1) * step).ceil()), 1)
    return (edges + first).clamp(0, size).long().tolist()


def roi_pool(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    scale: float,
) -> tuple[Tensor, Tensor]:
    """The greatest element of each bin of regions [R, (index, x1, y1, x2, y2)], 0 for
    none, and its place, -1 for none."""
    least = torch.finfo(x.dtype).min
    found = [x.new_zeros(0, x.shape[1])]
    places = [torch.zeros_like(found[0], dtype=torch.long)]
    for region in rois:
        left, top, right, bottom = (region[1:] * scale).unbind()
        rows = bin_edges(top, bottom, size[0], x.shape[2])
        columns = bin_edges(left, right, size[1], x.shape[3])
        for y0, y1 in rows:
            for x0, x1 in columns:
                best, place = x.new_zeros(x.shape[1]), places[0].new_full([1], -1)
                part = x[int(region[0]), :, y0:y1, x0:x1].flatten(1)
                if part.numel():
                    best, at = torch.where(part > least, part, least).max(1)
                    row = at.div(x1 - x0, rounding_mode="floor") + y0
                    place = row * x.shape[3] + at % (x1 - x0) + x0
                    place = torch.where(best > least, place, -1)
                found.append(best[None])
                places.append(place.expand(1, x.shape[1]))
    shape = (len(rois), *size, x.shape[1])
    values = torch.cat(found).reshape(shape).movedim(-1, 1)
    return values, torch.cat(places).reshape(shape).movedim(-1, 1).int()


def roi_align_rotated(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    scale: float,
    ratio: int = 0,
    aligned: bool = False,
) -> Tensor:
    """The mean of bilinear samples in each bin of regions [R, (index), x, y, width,
    height, degrees], x and y of the centre."""
    indexed = rois.shape[1] == 6
    pooled = []
    for region in rois:
        picture = x[int(region[0]) if indexed else 0]
        centre_x, centre_y, width, height = region[-5:-1] * scale
        places = []
        for side, bins in zip((height, width), size):
            side = side if aligned else side.clamp(min=1.0)
            step = side / bins
            count = ratio if ratio > 0 else int(step.ceil())
            taps = torch.arange(count, device=x.device) + 0.5
            corners = torch.arange(bins, device=x.device)[:, None] * step - side / 2
            places.append((corners + taps * step / max(count, 1)).flatten())
        down, right = torch.meshgrid(*places, indexing="ij")
        angle = region[-1] * (math.pi / 180)
        half = 0.5 if aligned else 0.0
        rows = (down * angle.cos() - right * angle.sin() + centre_y - half).flatten()
        columns = (right * angle.cos() + down * angle.sin() + centre_x - half).flatten()
        inside = (rows >= -1) & (rows <= x.shape[2])
        inside = inside & (columns >= -1) & (columns <= x.shape[3])
        samples = interpolated(picture, rows, columns) * inside
        tall, wide = down.shape[0] // size[0], down.shape[1] // size[1]
        bins = samples.reshape(len(picture), size[0], tall, size[1], wide)
        pooled.append(bins.mean((2, 4)))
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *size)


def best_regions(
    rois: tuple[Tensor, ...],
    scores: tuple[Tensor, ...],
    most: int,
) -> Tensor:
    """The regions of greatest score over all levels of a pyramid."""
    order = torch.cat([part.flatten() for part in scores])
    return torch.cat(rois)[order.argsort(descending=True, stable=True)[:most]]


def regions_by_level(
    rois: Tensor,
    scale: float,
    level: int,
    levels: tuple[int, int],
    one: float,
) -> tuple[Tensor, ...]:
    """Regions dealt out to the levels of a pyramid by their size, and their places."""
    rois = rois if rois.shape[1] == 5 else torch.nn.functional.pad(rois, (1, 0))
    sides = rois[:, 3:] - rois[:, 1:3] + one
    side = sides.prod(1).clamp(min=0).sqrt()
    at = (level + (side / scale + 1e-6).log2()).floor().clamp(*levels)
    parts = [(at == k).nonzero().flatten() for k in range(levels[0], levels[1] + 1)]
    restore = torch.cat(parts).argsort(stable=True).int()
    return (*(rois[part] for part in parts), restore)


def square_regions(x: Tensor, scales: int, overlap: float) -> Tensor:
    """Squares [R, (index, x1, y1, x2, y2)] of several sizes that cover pictures."""
    height, width = x.shape[2:4]
    least, more = min(height, width), 0
    if height != width:
        steps = torch.arange(1, 7)
        apart = (abs(height - width) / steps).float()
        shared = (least * least - least * apart) / (least * least)
        more = int((shared - overlap).abs().argmin()) + 1
    found = [torch.zeros(0, 4)]
    for scale in range(1, scales + 1 if x.numel() else 1):
        side = 2 * least // (scale + 1)
        corners = []
        for size, other in ((width, height), (height, width)):
            count = scale + (more if size > other else 0)
            step = (size - side) / (count - 1) if count > 1 else 0.0
            places = (torch.tensor(step) * torch.arange(count)).trunc()
            corners.append(places.clamp(max=size - side))
        if side:
            at = torch.cartesian_prod(*corners).reshape(-1, 2)
            found.append(torch.cat((at, at + (side - 1)), 1))
    regions = torch.cat(found).to(x.device)
    index = torch.arange(len(x), device=x.device).repeat_interleave(len(regions))
    return torch.cat((index[:, None].float(), regions.repeat(len(x), 1)), 1)


def heatmap_keypoints(maps: Tensor, boxes: Tensor, softmax: bool) -> Tensor:
    """x, y, height and probability [N, 4, K] of the summits of maps [N, K, S, S]."""
    size = maps.shape[-1]
    flat = maps.flatten(2)
    largest = flat.argmax(2)
    at = torch.stack((largest.div(size, rounding_mode="floor"), largest % size), -1)
    near = at[..., None] + torch.arange(-1, 2, device=maps.device)
    near = torch.where((near < 0) | (near >= size), 2 * at[..., None] - near, near)
    places = near[:, :, 0, :, None] * size + near[:, :, 1, None, :]
    f = torch.unflatten(flat.gather(2, places.flatten(2)), 2, (3, 3)).double()
    centre = f[..., 1, 1]
    right = (f[..., 1, 2] - f[..., 1, 0]) / 2
    down = (f[..., 2, 1] - f[..., 0, 1]) / 2
    xx = f[..., 1, 0] - 2 * centre + f[..., 1, 2]
    yy = f[..., 0, 1] - 2 * centre + f[..., 2, 1]
    xy = (f[..., 2, 2] - f[..., 2, 0] - f[..., 0, 2] + f[..., 0, 0]) / 4
    determinant = xx * yy - xy * xy
    flat_ = determinant.abs() < 1e-4
    solved = torch.stack((xy * down - yy * right, xy * right - xx * down), -1)
    delta = solved / torch.where(flat_, 1, determinant)[..., None]
    delta = torch.where(flat_[..., None], 0, delta)
    delta = delta * (1.5 / delta.abs().amax(-1).clamp(min=1.5))[..., None]
    x, y = delta.unbind(-1)
    rise = right * x + down * y + (xx * x * x + 2 * xy * x * y + yy * y * y) / 2
    corner, opposite = boxes[:, None, :2], boxes[:, None, 2:4]
    found = (0.5 + at.flip(-1) + delta) * (opposite - corner).clamp(min=1) / size
    found = (corner + found).to(maps.dtype).mT
    chance = torch.zeros_like(maps[:, :, 0, 0])
    if softmax:
        powers = flat.exp()
        chance = powers.gather(2, largest[..., None])[..., 0] / powers.sum(2)
    height = (centre + rise).to(maps.dtype)
    return torch.cat((found, torch.stack((height, chance), 1)), 1)
