"""Checks."""

from __future__ import annotations

from torch import Tensor


def finite(x: Tensor, name: str) -> Tensor:
    """The tensor itself. Raises ValueError where it holds a NaN or an infinity."""
    if not x.isfinite().all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return x
