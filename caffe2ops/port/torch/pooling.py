"""Max pooling with Caffe2's gradient: every element that equals the greatest one of a window gets the window's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Numbers = int | Sequence[int]
# numbers that are computed alike at two places may differ by rounding, and count as equal
SAME = {torch.float64: 1e-12, torch.float32: 1e-6}


class Pooling:
    """torch.nn.functional with max pooling of its own."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(functional, name)
        if not name.startswith("max_pool"):
            return function
        return lambda x, *args, **named: pooled(x, function(x.detach(), *args, **named), *args, **named)


def pooled(x: Tensor, y: Tensor, size: Numbers, stride: Numbers | None = None, padding: Numbers = 0) -> Tensor:
    """The pooled elements y, depending on all elements of x that they equal."""
    rank = x.dim() - 2
    sizes, pads = _each(size, rank), _each(padding, rank)
    steps = sizes if stride is None else _each(stride, rank)
    around = [n for pad in reversed(pads) for n in (pad, pad)]
    given, compared = functional.pad(x, around), functional.pad(x.detach(), around, value=float("-inf"))
    for tap in product(*map(range, sizes)):
        at: Any = (..., *(slice(t, t + s * (n - 1) + 1, s) for t, s, n in zip(tap, steps, y.shape[2:])))
        equal = torch.isclose(compared[at], y.detach(), rtol=SAME[y.dtype], atol=0.0)
        y = y + torch.where(equal, given[at] - given[at].detach(), 0.0)
    return y


def _each(numbers: Numbers, rank: int) -> list[int]:
    return [numbers] * rank if isinstance(numbers, int) else list(numbers)
