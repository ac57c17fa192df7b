"""The random generator of Caffe2's CPU operators: a Mersenne Twister and the distributions drawn from it.

In Caffe2 every operator owns one generator, seeded with ``device_option.random_seed`` when the operator is created; the
state goes on from run to run. `Generator` gives the same numbers as Caffe2 1.10.2 for the same seed:

* `uniform`, `integers`, `unique_integers` and `bernoulli` are bit-equal: exact arithmetic on the generator's words.
* `normal` follows Caffe2's Box-Muller step by step (float32 radius and angle, float64 products). It differs only if the
  C library's log, sin or cos and NumPy's differ in a last float64 bit that decides a float32 rounding: about one value
  in 10^8, none among the two million compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from caffe2ops.operator import Operator

Floats = NDArray[np.float32]
WORD = 1 << 32


class Generator:
    """A stream of random numbers, the same on every machine for the same seed.

    seed: 0 <= seed < 2**32, or None for one from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not 0 <= seed < WORD:
            raise ValueError(f"random_seed: {seed}, wants 0 to {WORD - 1}")
        self._words = np.random.RandomState(seed)
        self._spare: np.float32 | None = None

    def _bits(self, count: int, width: int = 32) -> NDArray[np.uint32]:
        """The low `width` bits of the next `count` 32-bit words."""
        return self._words.randint(0, 1 << width, size=count, dtype=np.uint32)

    def _bits64(self, count: int) -> NDArray[np.uint64]:
        """`count` 64-bit words, each made of two 32-bit ones, the earlier on top."""
        pairs = self._bits(2 * count).reshape(-1, 2).astype(np.uint64)
        return pairs[:, 0] << np.uint64(32) | pairs[:, 1]

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """float32[count] in [low, high): 24 random bits each, scaled in float32."""
        values = self._bits(count, 24).astype(np.float32)
        values *= np.float32(2**-24)
        values *= np.float32(high) - np.float32(low)
        values += np.float32(low)
        return values

    def integers(self, count: int, low: int, high: int, dtype: type[np.signedinteger] = np.int32) -> NDArray:
        """dtype[count] of low <= value <= high: a word modulo the size of the range, as Caffe2 has it.

        int64 takes 64 random bits where the range needs more than 32; the slight bias of the modulo is kept.
        """
        size = high - low + 1
        if dtype is np.int64 and size >= WORD:
            words = self._bits64(count)
        else:
            words = self._bits(count).astype(np.uint64)
        if size < 1 << 64:
            words %= np.uint64(size)
        return (words + np.uint64(low % (1 << 64))).astype(dtype)

    def unique_integers(
        self, count: int, low: int, high: int, avoid: NDArray | None = None, dtype: type[np.signedinteger] = np.int32
    ) -> NDArray:
        """dtype[count] of distinct low <= value <= high, none of them in `avoid`: repeats are drawn again."""
        taken = np.zeros(0, dtype) if avoid is None else avoid
        if count > high - low + 1 - taken.size:
            raise ValueError(
                f"shape: {count} distinct values wanted, there are {high - low + 1} less {taken.size} to avoid"
            )
        if count == 0:
            return np.zeros(0, dtype)
        state, tries = self._words.get_state(), count
        while True:
            drawn = self.integers(tries, low, high, dtype)
            first = np.sort(np.unique(drawn, return_index=True)[1])
            first = first[~np.isin(drawn[first], taken)]
            self._words.set_state(state)
            if first.size >= count:
                return self.integers(int(first[count - 1]) + 1, low, high, dtype)[first[:count]]
            tries *= 2

    def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
        """bool[count], each True with the given probability: 53 random bits each, compared in float64."""
        words = self._bits64(count) & np.uint64(2**53 - 1)
        return words.astype(np.float64) * 2.0**-53 < probability

    def normal(self, count: int, mean: float = 0.0, std: float = 1.0) -> Floats:
        """float32[count] by Box-Muller, two of two uniform numbers; the second of an odd count is kept for the next
        call."""
        out = np.empty(count, np.float32)
        start = 0
        if self._spare is not None and count:
            out[0], self._spare, start = self._spare, None, 1
        pairs = self.uniform(2 * ((count - start + 1) // 2)).reshape(-1, 2)
        radius = np.sqrt(-2.0 * np.log((np.float32(1) - pairs[:, 1]).astype(np.float64))).astype(np.float32)
        angle = (np.float32(2 * np.pi) * pairs[:, 0]).astype(np.float64)
        sines = (radius * np.sin(angle)).astype(np.float32)
        if (count - start) % 2:
            self._spare, sines = sines[-1], sines[:-1]
        out[start::2] = radius * np.cos(angle)
        out[start + 1 :: 2] = sines
        out *= np.float32(std)
        out += np.float32(mean)
        return out


def generator_of(op: Operator) -> Generator:
    """The generator of one operator: from its `random_seed`, else from the workspace's stream of seeds."""
    return Generator(op.workspace.next_seed() if op.seed is None and op.workspace is not None else op.seed)
