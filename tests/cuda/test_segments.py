"""Kernels that fold segments of rows, and those that update rows in place, in the emulator."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from caffe2ops.cuda import Elementwise, RowUpdate, SegmentFold
from caffe2ops.ops.segment.segment_ids_cuda import add_rows
from tests.kit.cuemu.settings import settings

SUM = SegmentFold(combine="a + b", identity="A(0)", name="sum")
MEAN = SegmentFold(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", name="mean")
MAX = SegmentFold(combine="a > b ? a : b", identity="-A(1) / A(0)", finish="n ? a : A(0)", name="max")
STEP = RowUpdate("m += g; step = m * T(scale); p -= step", states="p m", outputs="step", scalars="scale", name="step")
BY_ROW = RowUpdate(
    "p += lr[0] * g / m", states="p", row_states="m", tables="lr", fold="g * g", row="m += mean", name="by_row"
)
PICK = Elementwise(
    "const long long r = at[i / n]; if (r < 0) atomicExch(bad, 1); y = r < 0 ? T(0) : T(table[r * n + i % n]);",
    outputs="y", tables="table at:int32", int_scalars="n", flags="bad", name="pick",
)  # fmt: skip


@pytest.fixture(params=["forward", "reverse"])
def cupy(request: pytest.FixtureRequest, emulated_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The emulated device, its threads run in either order."""
    monkeypatch.setattr(settings, "order", request.param)
    return emulated_cuda


def offsets_of(cupy: ModuleType, lengths: list[int]) -> Any:
    return cupy.asarray(np.cumsum([0, *lengths], dtype=np.int64))


@pytest.mark.parametrize("width", [1, 2, 5, 33, 70])
@pytest.mark.parametrize("lengths", [[3, 0, 7, 1], [0], [], [700, 0, 300], [1000]])
def test_segments_short_and_long(cupy: ModuleType, lengths: list[int], width: int) -> None:
    """A thread a column for short segments, a block a segment for long ones: the answer is the same."""
    x = np.random.default_rng(1).standard_normal((sum(lengths), width)).astype(np.float32)
    parts = np.split(x.astype(np.float64), np.cumsum(lengths)[:-1]) if lengths else []
    for fold, plain in ((SUM, np.sum), (MEAN, np.mean), (MAX, np.max)):
        wanted = np.array([plain(part, axis=0) if len(part) else np.zeros(width) for part in parts])
        out, bad = cupy.empty((len(lengths), width), np.float32), cupy.zeros(1, np.int32)
        fold(cupy.asarray(x), offsets_of(cupy, lengths), out, bad)
        np.testing.assert_allclose(out.get(), wanted.reshape(out.shape), rtol=1e-4, atol=1e-4)
        assert bad.get() == 0


@pytest.mark.parametrize("count", [6, 600])
def test_indices_and_weights(cupy: ModuleType, count: int) -> None:
    """Rows are picked and weighted; an index that is no row is left out and flagged."""
    rng = np.random.default_rng(2)
    x, weights = rng.standard_normal((9, 3)).astype(np.float32), rng.standard_normal(count).astype(np.float32)
    indices = rng.integers(0, 9, count).astype(np.int32)
    lengths = [count - 2, 2]
    wanted = np.add.reduceat(x[indices] * weights[:, None], [0, count - 2], axis=0)
    out, bad = cupy.empty((2, 3), np.float32), cupy.zeros(1, np.int32)
    arrays = [cupy.asarray(a) for a in (x, indices, weights)]
    named = {"indices": arrays[1], "weights": arrays[2]}
    SUM(arrays[0], offsets_of(cupy, lengths), out, bad, **named)
    np.testing.assert_allclose(out.get(), wanted, rtol=1e-4, atol=1e-4)
    assert bad.get() == 0
    arrays[1][count - 1] = 9
    SUM(arrays[0], offsets_of(cupy, lengths), out, bad, **named)
    np.testing.assert_allclose(out.get()[1], x[indices[-2]] * weights[-2], rtol=1e-5)
    assert bad.get() == 1


def test_weights_by_place(cupy: ModuleType) -> None:
    x = cupy.asarray(np.ones((5, 1), np.float32))
    weights = cupy.asarray(np.array([1, 10, 100], np.float32))
    out, bad = cupy.empty((2, 1), np.float32), cupy.zeros(1, np.int32)
    SUM(x, offsets_of(cupy, [2, 3]), out, bad, weights=weights, by_place=True)
    assert out.get().ravel().tolist() == [11, 111]
    SUM(x, offsets_of(cupy, [1, 4]), out, bad, weights=weights, by_place=True)
    assert bad.get() == 1


def test_folds_refuse_another_size(cupy: ModuleType) -> None:
    x = cupy.asarray(np.ones((5, 2), np.float32))
    with pytest.raises(ValueError, match="out has 6 elements, wanted 4"):
        SUM(x, offsets_of(cupy, [2, 3]), cupy.empty((3, 2), np.float32), cupy.zeros(1, np.int32))


def test_rows_that_repeat_are_added_in_order(cupy: ModuleType) -> None:
    """1 + 1e8 - 1e8 is 0 in float32 and 1e8 - 1e8 + 1 is 1: the order shows."""
    rows = np.array([[1], [1e8], [-1e8], [1e8], [-1e8], [1]], np.float32)
    ids = np.array([0, 0, 0, 2, 2, 2])
    out = cupy.empty((3, 1), np.float32)
    add_rows(cupy.asarray(rows), cupy.asarray(ids), out)
    assert out.get().ravel().tolist() == [0, 0, 1]


@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
def test_row_updates_see_what_came_before(cupy: ModuleType, index_dtype: str) -> None:
    rng = np.random.default_rng(3)
    p, m = (rng.standard_normal((6, 4)).astype(np.float32) for _ in range(2))
    indices = np.array([2, 5, 2, 2, 0, 5], index_dtype)
    g = rng.standard_normal((6, 4)).astype(np.float32)
    arrays = {name: cupy.asarray(value) for name, value in (("p", p), ("m", m), ("g", g))}
    step = cupy.empty((6, 4), np.float32)
    STEP(cupy.asarray(indices), 4, step=step, scale=0.5, **arrays)
    wanted = np.empty_like(g)
    for j, row in enumerate(indices):
        m[row] += g[j]
        wanted[j] = m[row] * np.float32(0.5)
        p[row] -= wanted[j]
    for name, value in (("p", p), ("m", m)):
        np.testing.assert_allclose(arrays[name].get(), value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(step.get(), wanted, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 3, 300])
def test_row_updates_with_a_number_a_row(cupy: ModuleType, width: int) -> None:
    """The mean over more columns than a block has threads."""
    rng = np.random.default_rng(4)
    p, m = rng.standard_normal((4, width)).astype(np.float32), np.ones(4, np.float32)
    indices, g = np.array([3, 1, 3]), rng.standard_normal((3, width)).astype(np.float32)
    arrays = {name: cupy.asarray(value) for name, value in (("p", p), ("m", m), ("g", g))}
    BY_ROW(cupy.asarray(indices), width, lr=cupy.asarray(np.array([0.1], np.float32)), **arrays)
    for j, row in enumerate(indices):
        m[row] += (g[j] * g[j]).mean()
        p[row] += np.float32(0.1) * g[j] / m[row]
    np.testing.assert_allclose(arrays["m"].get(), m, rtol=1e-5)
    np.testing.assert_allclose(arrays["p"].get(), p, rtol=1e-4, atol=1e-6)


def test_row_updates_of_nothing(cupy: ModuleType) -> None:
    p, m = cupy.asarray(np.ones((2, 3), np.float32)), cupy.asarray(np.ones((2, 3), np.float32))
    nothing = cupy.empty((0, 3), np.float32)
    STEP(cupy.asarray(np.empty(0, np.int64)), 3, p=p, m=m, g=nothing, step=nothing, scale=1)
    assert (p.get() == 1).all()
    with pytest.raises(TypeError, match="step: wanted"):
        STEP(cupy.asarray(np.empty(0, np.int64)), 3, p=p, m=m)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_tables_and_flags(cupy: ModuleType, dtype: str) -> None:
    """An expression that indexes an array itself, and says that an index was none."""
    table = np.arange(12).reshape(4, 3).astype(dtype)
    at = cupy.asarray(np.array([2, 0, 3], np.int32))
    bad, y = cupy.zeros(1, np.int32), cupy.empty((3, 3), np.float32)
    PICK(out=y, table=cupy.asarray(table), at=at, n=3, bad=bad)
    assert y.get().tolist() == table[[2, 0, 3]].tolist()
    assert bad.get() == 0
    at[1] = -1
    PICK(out=y, table=cupy.asarray(table), at=at, n=3, bad=bad)
    assert y.get()[1].tolist() == [0, 0, 0]
    assert bad.get() == 1
    with pytest.raises(TypeError, match="wanted the scalars and tables"):
        PICK(out=y, table=cupy.asarray(table), n=3)


def test_more_elements_than_a_grid_has_threads(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids are capped and loop: shown with a cap of two blocks."""
    monkeypatch.setattr("caffe2ops.cuda.launch.MAX_BLOCKS", 2)
    table, at = np.arange(3000, dtype=np.float32), np.arange(3000, dtype=np.int32)[::-1].copy()
    y = cupy.empty(3000, np.float32)
    PICK(out=y, table=cupy.asarray(table), at=cupy.asarray(at), n=1, bad=cupy.zeros(1, np.int32))
    np.testing.assert_array_equal(y.get(), table[::-1])
