"""The default random engine of the C++ library that Caffe2 was built with, and its shuffle.

A linear congruential generator, x <- 16807 x mod (2**31 - 1), that starts at 1; `shuffle` draws two places at a time
from one number as long as that has room for both (libstdc++'s std::shuffle).
"""

from __future__ import annotations

import numpy as np

FACTOR, MODULUS = 16807, 2**31 - 1
RANGE = MODULUS - 2  # numbers are 0 .. RANGE, less the 1 that the engine starts from


class MinimalStandard:
    """The engine as it is when newly made."""

    def __init__(self) -> None:
        self._state = 1

    def below(self, size: int) -> int:
        """A number from 0 to size - 1, size <= 2**31 - 2: what is not a multiple of it is drawn again."""
        scale = RANGE // size
        while True:
            self._state = self._state * FACTOR % MODULUS
            if self._state - 1 < size * scale:
                return (self._state - 1) // scale


def shuffled(values: np.ndarray) -> np.ndarray:
    """The values, int64[N] with N < 2**31, in the order that a new engine puts them in."""
    order, engine, size = values.tolist(), MinimalStandard(), values.size

    def swap(i: int, j: int) -> None:
        order[i], order[j] = order[j], order[i]

    if size and RANGE // size >= size:
        start = 1
        if size % 2 == 0:
            swap(1, engine.below(2))
            start = 2
        for i in range(start, size, 2):
            first, second = divmod(engine.below((i + 1) * (i + 2)), i + 2)
            swap(i, first)
            swap(i + 1, second)
    else:
        for i in range(1, size):
            swap(i, engine.below(i + 1))
    return np.array(order, np.int64)
