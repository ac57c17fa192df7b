"""What test_sanitizers.py runs of the families: each kernel once, also with lengths and indices that are wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from caffe2ops.ops.index import rows_cuda, scatter_cuda
from caffe2ops.ops.optim import sparse_cuda
from caffe2ops.ops.pool import pooling_cuda
from caffe2ops.ops.segment import lengths_cuda, pack_cuda, segment_ids_cuda
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from tests.kit.call import run
from tests.kit.cuemu.fixture import installed
from tests.kit.sample import collect


def segments(cupy: ModuleType, rng: np.random.Generator) -> None:
    """Short and long segments, weights, lengths and indices that are wrong."""
    x = cupy.asarray(rng.standard_normal((300, 5)).astype(np.float32))
    for lengths in ([100, 200], [1] * 300):
        given = cupy.asarray(np.array(lengths, np.int32))
        out = cupy.empty((len(lengths), 5), np.float32)
        lengths_cuda.lengths_reduce("Sum", x, None, given, None, out, checked_lengths)
        np.testing.assert_allclose(out.get().sum(0), x.get().sum(0), rtol=1e-3, atol=1e-3)
        ids, offsets = lengths_cuda.segment_ids(given, 300, checked_lengths)
        lengths_cuda.spread("Mean", out, ids, offsets, None, cupy.empty(x.shape, np.float32))
        packed = cupy.empty((len(lengths), 3, 5), np.float32)
        pack_cuda.pack(x, given, 3, 0.0, packed, checked_lengths)
    wrong = cupy.asarray(np.array([-1, 1000], np.int32))
    out = cupy.empty((2, 5), np.float32)
    with pytest.raises(ValueError, match="wants 0 or more"):
        lengths_cuda.lengths_reduce("Max", x, None, wrong, None, out, lambda host: checked_lengths(host, 300))
    picked, one_each = cupy.asarray(np.array([1, 300], np.int64)), cupy.asarray(np.array([1, 1], np.int32))
    with pytest.raises(IndexError, match="DATA has 300 rows"):
        lengths_cuda.lengths_reduce("Mean", x, picked, one_each, None, out, lambda host: None)
    ids = cupy.asarray(rng.integers(0, 7, 300))
    segment_ids_cuda.add_rows(x, ids, cupy.empty((7, 5), np.float32))


def rows(cupy: ModuleType, rng: np.random.Generator) -> None:
    """Rows gathered, written, added and updated by indices that repeat; one that is none is refused."""
    table = cupy.asarray(rng.standard_normal((6, 4)).astype(np.float32))
    indices = cupy.asarray(np.array([3, 3, 0, 5], np.int32))
    values = cupy.asarray(rng.standard_normal((4, 4)).astype(np.float32))
    wrong = cupy.asarray(np.array([3, 1 << 30, -9, 5], np.int32))
    half = cupy.asarray(np.array([0.5], np.float32))
    picked = rows_cuda.take(table, indices, 0, False, cupy.empty((4, 4), np.float32))
    rows_cuda.add_slices(picked, indices, 0, False, cupy.empty((6, 4), np.float32))
    scatter_cuda.assign(table, indices, values)
    scatter_cuda.weighted_sum(table, half, indices, [(values, half)])
    for refused in (
        lambda: rows_cuda.take(table, wrong, 0, False, cupy.empty((4, 4), np.float32)),
        lambda: scatter_cuda.assign(table, wrong, values),
        lambda: scatter_cuda.weighted_sum(table, half, wrong, [(values, half)]),
    ):
        with pytest.raises(IndexError, match="has 6 rows"):
            refused()
    numbers: dict[str, Any] = {"lr": half, "epsilon": 1e-5, "weight_decay": 0.1}
    moment, by_row = cupy.asarray(np.ones((6, 4), np.float32)), cupy.asarray(np.ones(6, np.float32))
    sparse_cuda.ADAGRAD(indices, 4, p=table, m=moment, g=values, **numbers)
    counter = cupy.asarray(np.ones(6))
    sparse_cuda.ROW_WISE_ADAGRAD(indices, 4, p=table, m=by_row, g=values, counter=counter, halflife=2.0, **numbers)


def pools(cupy: ModuleType, rng: np.random.Generator) -> None:
    """Overlapping windows that reach into the padding."""
    x = cupy.asarray(rng.standard_normal((2, 5, 6)).astype(np.float32))
    y, dx = cupy.empty((2, 3, 3), np.float32), cupy.empty(x.shape, np.float32)
    windows = {"g": cupy.asarray(np.array([5, 3, 3, 2, 1, 6, 3, 3, 2, 1])), "rank": 2, "inner": 1}
    pooling_cuda.MAX(out=y, X=x, **windows)
    pooling_cuda.MAX_BACK(x, out=dx, Y=y, dY=y, **windows)
    pooling_cuda.AVERAGE(out=y, X=x, whole=0, **windows)
    pooling_cuda.AVERAGE_BACK(x, out=dx, Y=y, dY=y, padding=False, **windows)


# Operators whose kernels compute where they read.
GATHERS = (
    "AddPadding", "BatchDenseToSparse", "BatchSparseToDense", "Col2Im", "Conv", "ConvGradient", "ConvTranspose",
    "ConvTransposeGradient", "FlexibleTopK", "FlexibleTopKGradient", "FloatToFused2BitRowwiseQuantized",
    "GatherFused8BitRowwise", "GatherPadding", "GatherRanges", "GatherRangesToDense", "LSTMUnitGradient",
    "MaxPoolWithIndex", "MaxPoolWithIndexGradient", "PackRNNSequence", "Percentile", "PiecewiseLinearTransform",
    "RemovePadding", "RoIAlign", "RoIAlignGradient", "RoIAlignRotatedGradient", "RoIPool", "RoIPoolGradient",
    "SequenceMask", "SparseLengthsSum8BitRowwiseSparse", "SparseLengthsSumFused4BitRowwise", "SparseToDenseMask",
    "SparseToDenseMaskGradient", "UnpackRNNSequence",
)  # fmt: skip


def gathers(cupy: ModuleType, rng: np.random.Generator) -> None:
    """All their samples, also those that are refused."""
    for sample in collect():
        if sample.op in GATHERS and "cuda" in sample.devices and not sample.engine:
            refused = pytest.raises(Exception, match=sample.error) if sample.error else nullcontext()
            with refused:
                run(sample, Path(), "cuda")


FAMILIES = {family.__name__: family for family in (segments, rows, pools, gathers)}


def main(names: Iterable[str]) -> None:
    with installed() as cupy:
        for name in names:
            FAMILIES[name](cupy, np.random.default_rng(0))
    print("clean")


if __name__ == "__main__":
    main(sys.argv[1:] or FAMILIES)
