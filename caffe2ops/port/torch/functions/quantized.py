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
