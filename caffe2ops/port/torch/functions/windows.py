"""Windows over pictures that differ from place to place."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe2ops.port.torch.functions.images import bilinear_taps


def locally_connected(
    x: Tensor,
    filter: Tensor,
    bias: Tensor | None,
    steps: list[int],
    dilations: list[int],
) -> Tensor:
    """A convolution with filters [places.., M, C, kernel..] of their own at each place."""
    rank = x.dim() - 2
    for axis, (step, dilation) in enumerate(zip(steps, dilations), 2):
        extent = dilation * (filter.shape[rank + axis] - 1) + 1
        x = x.unfold(axis, extent, step)[..., ::dilation]
    patches = x.flatten(rank + 2).flatten(2, -2)
    weights = filter.flatten(rank + 2).flatten(0, rank - 1)
    y = torch.einsum("ncpk,pmck->nmp", patches, weights)
    if bias is not None:
        y = y + bias.flatten(0, -2).T
    return torch.unflatten(y, 2, filter.shape[:rank])


def interpolated(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pictures [..., C, H, W] at places [..., P], between the four elements around."""
    height, width = x.shape[-2:]
    top, bottom, down, _ = bilinear_taps(rows, height)
    left, right, across, _ = bilinear_taps(columns, width)
    flat, total = x.flatten(-2), x.new_zeros(())
    for row, part in ((top, 1 - down), (bottom, down)):
        for column, other in ((left, 1 - across), (right, across)):
            at = (row * width + column).unsqueeze(-2)
            taken = flat.gather(-1, at.expand(*flat.shape[:-1], -1))
            total = total + taken * (part * other).unsqueeze(-2)
    return total


def deform_conv(
    x: Tensor,
    offset: Tensor,
    filter: Tensor,
    bias: Tensor | None,
    groups: int,
    steps: list[int],
    pads: list[int],
    dilations: list[int],
) -> Tensor:
    """A convolution whose taps are moved by offsets (down, right), [N, groups * taps * 2,
    places..]; a tap outside counts as 0."""
    count, _, height, width = x.shape
    kernel, places = filter.shape[2:], offset.shape[2:]
    moves = offset.reshape(count, groups, kernel.numel(), 2, places.numel())
    grids = []
    for axis, (step, pad, dilation) in enumerate(zip(steps, pads, dilations)):
        taps = torch.arange(kernel[axis], device=x.device)[:, None] * dilation
        grids.append(torch.arange(places[axis], device=x.device) * step + taps - pad)
    down = grids[0][:, None, :, None].expand(*kernel, *places).flatten(2).flatten(0, 1)
    right = grids[1][None, :, None, :].expand(*kernel, *places).flatten(2).flatten(0, 1)
    rows = (down + moves[:, :, :, 0]).flatten(2)
    columns = (right + moves[:, :, :, 1]).flatten(2)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    taps = interpolated(torch.unflatten(x, 1, (groups, -1)), rows, columns)
    taps = torch.unflatten(taps * inside.unsqueeze(2), 3, (-1, places.numel()))
    y = torch.unflatten(filter.flatten(1) @ taps.flatten(1, 3), 2, places)
    return y if bias is None else y + bias[:, None, None]
