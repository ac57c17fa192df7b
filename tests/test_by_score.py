"""Equal scores come in the order that libstdc++'s sorts give them; the expected orders are recorded from them."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops.ops.detection.by_score import by_score


def killer(size: int) -> np.ndarray:
    """Scores whose median of three is bad every time, so that the sort falls back to a heap; many are equal."""
    half = size // 2
    keys = np.zeros(size)
    for i in range(1, half + 1):
        if i % 2:
            keys[i - 1], keys[i] = i, half + i
        keys[half + i - 1] = 2 * i
    return -(keys // 8)


def test_sort() -> None:
    expected = [2, 17, 5, 14, 8, 11, 10, 19, 16, 13, 7, 4, 1, 0, 9, 12, 6, 15, 3, 18]
    assert by_score(np.arange(20, dtype=np.float32) % 3).tolist() == expected


def test_partial_sort() -> None:
    assert by_score(np.arange(20, dtype=np.float32) % 3, 8).tolist() == [14, 11, 17, 8, 5, 2, 1, 7]


def test_heap() -> None:
    order = by_score(killer(400))
    assert sorted(order.tolist()) == list(range(400))
    assert order[:10].tolist() == [0, 2, 202, 4, 201, 6, 200, 203, 204, 205]
    assert int(order @ np.arange(400)) == 17946778


@pytest.mark.parametrize("most", [0, 1, 7, 50, 51, 99])
@pytest.mark.parametrize("levels", [1, 4, 10**6])
def test_best_first(levels: int, most: int) -> None:
    """Whatever the order of equal ones: the best, from the greatest on, each once."""
    scores = np.random.default_rng(levels).integers(0, levels, 50).astype(np.float32)
    order = by_score(scores, most)
    assert len(set(order.tolist())) == len(order) == min(most or 50, 50)
    np.testing.assert_array_equal(scores[order], np.sort(scores)[::-1][: len(order)])


def test_nothing_and_nan() -> None:
    assert by_score(np.zeros(0, np.float32)).tolist() == []
    assert by_score(np.array([1, np.nan, 1, 2], np.float32)).tolist() == [3, 0, 2, 1]
