"""Blobs that hold no tensor: what an operator finds in one is what another has made."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def held(name: str, value: Any, kind: type[T], maker: str) -> T:
    """The value, which operator `maker` has made. Raises TypeError naming the input where it is none of that kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: holds {type(value).__name__}, wants what {maker} makes")
    return value
