"""The segment family on random segments: every operator against a plain loop over segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2ops import OperatorDef, Workspace, check_gradient

Rows = Callable[[np.ndarray], np.ndarray]
# fmt: off
REDUCERS: dict[str, Rows] = {
    "Sum": lambda rows: rows.sum(axis=0),
    "Mean": lambda rows: rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1:]),
    "Max": lambda rows: rows.max(axis=0) if len(rows) else np.zeros(rows.shape[1:]),
}
# fmt: on
LENGTHS = st.lists(st.integers(0, 6), max_size=8).map(lambda lengths: np.array(lengths, np.int32))
WIDTHS = st.sampled_from([(), (1,), (3,), (2, 2)])
SEEDS = st.integers(0, 2**16)


def run(type: str, inputs: dict[str, Any], count: int = 1) -> list[Any]:
    workspace = Workspace()
    for name, value in inputs.items():
        workspace.feed(name, value)
    outputs = tuple(f"out{i}" for i in range(count))
    workspace.run(OperatorDef(type=type, input=tuple(inputs), output=outputs))
    return [workspace.fetch(name) for name in outputs]


def by_segment(rows: np.ndarray, lengths: np.ndarray, reduce: Rows) -> np.ndarray:
    """One row a segment, in float64."""
    ends = np.cumsum(lengths)
    parts = [reduce(rows[end - length : end].astype(np.float64)) for end, length in zip(ends, lengths, strict=True)]
    return np.array(parts).reshape(len(lengths), *rows.shape[1:])


@pytest.mark.parametrize("kind", REDUCERS)
@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, width=WIDTHS, seed=SEEDS)
def test_lengths(kind: str, lengths: np.ndarray, width: tuple[int, ...], seed: int) -> None:
    data = np.random.default_rng(seed).standard_normal((int(lengths.sum()), *width)).astype(np.float32)
    (found,) = run(f"Lengths{kind}", {"data": data, "lengths": lengths})
    np.testing.assert_allclose(found, by_segment(data, lengths, REDUCERS[kind]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Sum", "Mean"])
@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, width=WIDTHS, seed=SEEDS, weighted=st.booleans(), wide=st.booleans())
def test_sparse_lengths(
    kind: str, lengths: np.ndarray, width: tuple[int, ...], seed: int, weighted: bool, wide: bool
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((5, *width)).astype(np.float32)
    indices = rng.integers(0, 5, int(lengths.sum())).astype(np.int64 if wide else np.int32)
    picked = table[indices]
    inputs = {"table": table, "indices": indices, "lengths": lengths}
    name = f"SparseLengths{kind}"
    if weighted and kind == "Sum":
        weights = rng.standard_normal(len(indices)).astype(np.float32)
        picked = picked * weights.reshape(-1, *[1] * len(width))
        inputs = {"table": table, "weights": weights, "indices": indices, "lengths": lengths}
        name = "SparseLengthsWeightedSum"
    (found,) = run(name, inputs)
    np.testing.assert_allclose(found, by_segment(picked, lengths, REDUCERS[kind]), rtol=1e-5, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS)
def test_lengths_to_ids_and_back(lengths: np.ndarray) -> None:
    (ids,) = run("LengthsToSegmentIds", {"lengths": lengths})
    assert ids.tolist() == [i for i, length in enumerate(lengths) for _ in range(length)]
    if len(ids):
        (back,) = run("SegmentIdsToLengths", {"ids": ids})
        assert back.tolist() == np.trim_zeros(lengths, "b").tolist()
    (ranges,) = run("LengthsToRanges", {"lengths": lengths})
    assert ranges.tolist() == [[int(lengths[:i].sum()), int(n)] for i, n in enumerate(lengths)]


@pytest.mark.parametrize("kind", ["LengthsSum", "LengthsMean", "LengthsMax"])
@settings(max_examples=15, deadline=None)
@given(lengths=LENGTHS.filter(lambda lengths: lengths.sum() > 0), width=WIDTHS, seed=SEEDS)
def test_gradients(kind: str, lengths: np.ndarray, width: tuple[int, ...], seed: int) -> None:
    data = np.random.default_rng(seed).permutation(int(lengths.sum()) * int(np.prod(width, dtype=int))) * 0.25
    data = data.reshape(-1, *width)  # no two values near each other
    op = OperatorDef(type=kind, input=("data", "lengths"), output="y")
    assert all(found.ok for found in check_gradient(op, {"data": data, "lengths": lengths}, wrt=["data"]))
