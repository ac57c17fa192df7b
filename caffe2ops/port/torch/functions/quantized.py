"""Rows of bytes with a scale and a bias."""

from __future__ import annotations

import torch
from torch import Tensor


def decoded(
    rows: Tensor,
    bits: int,
    scale_type: torch.dtype = torch.float32,
) -> Tensor:
    """The floats of rows of bytes: the elements, lower bits first, then scale and bias."""
    tail = 2 * scale_type.itemsize
    codes, numbers = rows[..., :-tail], rows[..., -tail:]
    numbers = numbers.clone(memory_format=torch.contiguous_format)
    numbers = numbers.view(scale_type).float()
    if bits < 8:
        steps = torch.arange(0, 8, bits, device=rows.device)
        codes = (codes.int()[..., None] >> steps & (2**bits - 1)).flatten(-2)
    return codes * numbers[..., :1] + numbers[..., 1:]


def scaled(rows: Tensor, scale_bias: Tensor) -> Tensor:
    """The floats of rows of bytes whose scales and biases stand beside them."""
    numbers = scale_bias.reshape(-1, 2, *[1] * (rows.dim() - 1))
    return rows * numbers[:, 0] + numbers[:, 1]


def encoded(
    x: Tensor,
    bits: int,
    scale_type: torch.dtype = torch.float32,
    half: bool = False,
    packed: bool = True,
) -> Tensor:
    """Rows of floats as bytes: the elements, lower bits first, then scale and bias;
    `half`: these are rounded to 16 bits before elements are."""
    rows, levels = x.float(), 2**bits - 1
    low = torch.where(rows.isnan(), float("inf"), rows).amin(-1, keepdim=True)
    high = torch.where(rows.isnan(), float("-inf"), rows).amax(-1, keepdim=True)
    if half:
        low = low.half().float()
        scale = ((high - low) / levels).half().float()
        scale = torch.where(high == low, 1, scale)
        scale = torch.where(scale == 0, 1, scale) if packed else scale
        inverse = torch.where(scale == 0, 0, 1 / scale)
    else:
        scale, inverse = (high - low) / 255, 255 / (high - low + 1e-8)
    divides = half and packed and x.dtype == torch.float16
    steps = (rows - low) / scale if divides else (rows - low) * inverse
    codes = steps.round().clamp(0, levels).nan_to_num(0.0).to(torch.uint8)
    if packed and bits < 8:
        shifts = torch.arange(0, 8, bits, device=x.device)
        codes = torch.unflatten(codes, -1, (-1, 8 // bits)).int()
        codes = (codes << shifts).sum(-1)
    tail = torch.cat((scale, low), -1).to(scale_type).view(torch.uint8)
    return torch.cat((codes.to(torch.uint8), tail), -1)
