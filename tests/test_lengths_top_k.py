"""LengthsTopK and TopKPool against plain readings of their definitions: a heap fed one by one, and sorted lists."""

from __future__ import annotations

import importlib.util
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2ops import OperatorDef, OperatorError, Workspace
from caffe2ops.ops.segment import top_k_numpy

ENGINES = [
    "",
    pytest.param("NUMBA", marks=pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="no numba")),
]
NASTY = [np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, 3.5, 1e-42, -1e-42, 65504.0]


def run(op: str, inputs: list[np.ndarray], outputs: int, engine: str = "", **args: object) -> list[np.ndarray]:
    workspace = Workspace()
    names = [f"in{i}" for i in range(len(inputs))]
    for name, value in zip(names, inputs, strict=True):
        workspace.feed(name, value)
    produced = [f"out{i}" for i in range(outputs)]
    workspace.run(OperatorDef(type=op, input=tuple(names), output=tuple(produced), args=args, engine=engine))
    return [workspace.fetch(name) for name in produced]


class ReferenceHeap:
    """A priority queue with the worst entry on top, in the comparisons of std::push_heap and std::pop_heap."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, int]] = []

    @staticmethod
    def better(a: tuple[float, int], b: tuple[float, int]) -> bool:
        if a[0] > b[0]:
            return True
        return a[0] == b[0] and a[1] < b[1]

    def rise(self, at: int, entry: tuple[float, int]) -> None:
        while at != 0:
            parent = (at - 1) // 2
            if not self.better(self.entries[parent], entry):
                break
            self.entries[at] = self.entries[parent]
            at = parent
        self.entries[at] = entry

    def push(self, entry: tuple[float, int]) -> None:
        self.entries.append(entry)
        self.rise(len(self.entries) - 1, entry)

    def pop(self) -> tuple[float, int]:
        worst = self.entries[0]
        moved = self.entries.pop()
        n = len(self.entries)
        if n == 0:
            return worst
        hole, child = 0, 0
        while child < (n - 1) // 2:
            child = 2 * child + 2
            if self.better(self.entries[child], self.entries[child - 1]):
                child = child - 1
            self.entries[hole] = self.entries[child]
            hole = child
        if n % 2 == 0 and child == (n - 2) // 2:
            child = 2 * child + 1
            self.entries[hole] = self.entries[child]
            hole = child
        self.rise(hole, moved)
        return worst


def reference(data: np.ndarray, lengths: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.zeros((len(lengths), k), data.dtype)
    indices = np.full((len(lengths), k), -1, np.int32)
    start = 0
    for row, length in enumerate(lengths.tolist()):
        heap = ReferenceHeap()
        for index, value in enumerate(data[start : start + length].tolist()):
            if len(heap.entries) < k or value > heap.entries[0][0]:
                heap.push((value, index))
            if len(heap.entries) > k:
                heap.pop()
        for rank in range(len(heap.entries) - 1, -1, -1):
            index = heap.pop()[1]
            values[row, rank], indices[row, rank] = data[start + index], index
        start += length
    return values, indices


def assert_same_bits(found: list[np.ndarray], wanted: tuple[np.ndarray, ...]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours.view(f"u{ours.dtype.itemsize}"), theirs.view(f"u{ours.dtype.itemsize}"))


@st.composite
def segments(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Segments for every strategy: few or many, short to medium, of nasty, tied or random values, NaN or none."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    longest = draw(st.sampled_from([1, 3, 12, 70, 300, 1200]))
    lengths = generator.integers(0, longest + 1, draw(st.integers(0, max(1, 3000 // longest)))).astype(np.int32)
    size = int(lengths.sum())
    kind = draw(st.sampled_from(["nasty", "ties", "random", "-inf"]))
    data = {
        "nasty": lambda: generator.choice(NASTY, size),
        "ties": lambda: generator.integers(-3, 4, size),
        "random": lambda: generator.standard_normal(size),
        "-inf": lambda: np.where(generator.random(size) < 0.98, -np.inf, 1.0),
    }[kind]().astype(draw(st.sampled_from([np.float32, np.float32, np.float64, np.float16])))
    data[generator.random(size) < draw(st.sampled_from([0, 0, 0.001, 0.2]))] = np.nan
    return data, lengths, draw(st.sampled_from([1, 2, 3, 5, 11, 40, 200]))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60, deadline=None)
@given(case=segments())
def test_bits_equal_the_heap(engine: str, case: tuple[np.ndarray, np.ndarray, int]) -> None:
    data, lengths, k = case
    assert_same_bits(run("LengthsTopK", [data, lengths], 2, engine, k=k), reference(data, lengths, k))


@pytest.mark.parametrize("kind", ["random", "ties", "constant", "nan", "mostly -inf", "ascending"])
@pytest.mark.parametrize(("size", "k"), [(9_000, 3), (60_000, 100), (700_000, 20)])
def test_long_segments(kind: str, size: int, k: int) -> None:
    generator = np.random.default_rng(size + k)
    data = generator.standard_normal(size).astype(np.float32)
    if kind == "ties":
        data = np.round(data)
    if kind == "constant":
        data[:] = 2
    if kind == "nan":
        data[k + generator.integers(0, size - k, size // 9)] = np.nan
    if kind == "mostly -inf":
        data[generator.random(size) < 0.9999] = -np.inf
    if kind == "ascending":
        data.sort()
    numbers = np.where(np.isnan(data), -np.inf, data)
    order = np.argsort(-numbers, kind="stable")
    order = order[~np.isnan(data[order])][:k]
    lengths = np.array([0, size, 0], np.int32)
    values, indices = run("LengthsTopK", [data, lengths], 2, k=k)
    np.testing.assert_array_equal(indices[1], order)
    np.testing.assert_array_equal(values[1], data[order])
    assert (indices[[0, 2]] == -1).all()
    assert (values[[0, 2]] == 0).all()


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None)
@given(case=segments())
def test_gradient_goes_where_the_values_stood(engine: str, case: tuple[np.ndarray, np.ndarray, int]) -> None:
    data, lengths, k = case
    _, indices = reference(data, lengths, k)
    gradient = np.arange(1, indices.size + 1, dtype=data.dtype).reshape(indices.shape)
    wanted = np.zeros(data.shape, data.dtype)
    start = 0
    for row, length in enumerate(lengths.tolist()):
        for column in range(min(length, k)):
            wanted[start + indices[row, column]] = gradient[row, column]
        start += length
    indices[indices == -1] = np.random.default_rng(0).integers(-5, 5)  # padding is not read
    assert_same_bits(run("LengthsTopKGradient", [lengths, indices, gradient], 1, engine, k=k), (wanted,))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_index_outside_its_segment_is_named(engine: str) -> None:
    lengths = np.full(40_000, 3, np.int32)
    indices = np.tile(np.array([0, 1], np.int32), (40_000, 1))
    indices[35_000, 1] = 3
    with pytest.raises(OperatorError, match=r"TopKIndices: \[35000, 1\] is 3, outside its segment of 3"):
        run("LengthsTopKGradient", [lengths, indices, indices.astype(np.float32)], 1, engine, k=2)


@pytest.mark.parametrize("k", [5, 60])
def test_temporaries_stay_small(k: int) -> None:
    generator = np.random.default_rng(k)
    lengths = np.concatenate([generator.integers(0, 60, 20_000), generator.integers(0, 4000, 500), [1_500_000]])
    data = generator.standard_normal(int(lengths.sum())).astype(np.float32)
    lengths, starts = lengths.astype(np.int32), np.cumsum(lengths) - lengths
    values, indices = np.empty((len(lengths), k), np.float32), np.empty((len(lengths), k), np.int32)
    tracemalloc.start()
    top_k_numpy.lengths_top_k(data, lengths, starts, k, values, indices)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def pool_by_hand(
    data: np.ndarray, lengths: np.ndarray, ks: np.ndarray, order: str, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gathered, masked, indices) of TopKPool for 3-dim data without NaN, one row after the other."""
    count, steps, features = data.shape
    kmax = int(ks.max(initial=0))
    shape = (count, kmax, features) if axis == 1 else (count, steps, kmax)
    gathered, masked, indices = np.zeros(shape, data.dtype), np.zeros_like(data), np.full(shape, -1, np.int32)
    for i in range(count):
        for j in range(features if axis == 1 else lengths[i]):
            row = data[i, : lengths[i], j] if axis == 1 else data[i, j]
            taken = sorted(range(len(row)), key=lambda at: -row[at])[: ks[i]]
            for rank, at in enumerate(sorted(taken) if order == "position" else taken):
                to = (i, rank, j) if axis == 1 else (i, j, rank)
                source = (i, at, j) if axis == 1 else (i, j, at)
                gathered[to], indices[to], masked[source] = data[source], at, data[source]
    return gathered, masked, indices


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("order", ["value", "position"])
@pytest.mark.parametrize("mode", ["gather", "mask"])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), own_k=st.booleans())
def test_pooling_by_hand(axis: int, order: str, mode: str, seed: int, own_k: bool) -> None:
    generator = np.random.default_rng(seed)
    count, steps, features = (int(n) for n in generator.integers(0, 6, 3))
    data = generator.integers(-4, 5, (count, steps, features)).astype(np.float32)
    lengths = generator.integers(0, steps + 1, count).astype(np.int32)
    ks = generator.integers(0, 7, count).astype(np.int32) if own_k else np.full(count, 3, np.int32)
    kmax = int(ks.max(initial=0)) if own_k else 3
    gathered, masked, indices = pool_by_hand(data, lengths, ks if count else np.array([kmax]), order, axis)
    inputs = [data, lengths] + ([ks] if own_k else [])
    args = {"axis": axis, "order": order, "mode": mode} | ({} if own_k else {"k": 3})
    y, found = run("TopKPool", inputs, 2, **args)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_array_equal(y, gathered if mode == "gather" else masked)

    dy = generator.standard_normal(y.shape).astype(np.float32)
    (ddata,) = run("TopKPoolGradient", [data, found, dy], 1, **args)
    spread = np.zeros_like(data)
    for to in zip(*np.nonzero(indices >= 0), strict=True):
        source = (to[0], indices[to], to[2]) if axis == 1 else (to[0], to[1], indices[to])
        spread[source] = dy[source] if mode == "mask" else dy[to]
    np.testing.assert_array_equal(ddata, spread)
