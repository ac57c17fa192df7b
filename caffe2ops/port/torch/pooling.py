"""Max pooling with Caffe2's gradient: every element that equals the greatest one of a window gets the window's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

Numbers = int | Sequence[int]


class Pooling:
    """torch.nn.functional with max pooling of its own."""

    def __init__(self, functional: Any):
        self.functional = functional

    def __getattr__(self, name: str) -> Any:
        if name.startswith("max_pool"):
            return lambda x, *args, **named: MaxPool.apply(getattr(self.functional, name), x, args, named)
        return getattr(self.functional, name)


class MaxPool(torch.autograd.Function):
    """The pooling that `pool` does, with Caffe2's gradient."""

    @staticmethod
    def forward(ctx: Any, pool: Any, x: Tensor, args: Any, named: Any) -> Tensor:
        y: Tensor = pool(x, *args, **named)
        ctx.save_for_backward(x, y)
        ctx.window = _window(x.dim() - 2, *args, **named)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        size, step, pads = ctx.window
        around = [n for pad in reversed(pads) for n in (pad, pad)]
        padded = torch.nn.functional.pad(x, around, value=float("-inf"))
        found = torch.zeros_like(padded)
        for tap in product(*map(range, size)):
            at = (..., *(slice(t, t + s * (n - 1) + 1, s) for t, s, n in zip(tap, step, y.shape[2:])))
            found[at] += gradients[0] * (padded[at] == y)
        inner = tuple(slice(pad, pad + n) for pad, n in zip(pads, x.shape[2:]))
        return None, found[(..., *inner)], None, None


def _window(
    rank: int, size: Numbers, stride: Numbers | None = None, padding: Numbers = 0
) -> tuple[list[int], list[int], list[int]]:
    def each(numbers: Numbers) -> list[int]:
        return [numbers] * rank if isinstance(numbers, int) else list(numbers)

    return each(size), each(size if stride is None else stride), each(padding)
