"""GatherRangesToDense: stretches of fixed lengths, a matrix for each feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.shape.axes import differ


class GatherRangesToDense(Operator):
    """For feature j a matrix whose row r is the stretch RANGES[r, j] = (start, length) of DATA, in the order of KEY
    where given, or 0 where its length is not lengths[j].

    Over all runs it is counted how many stretches of a feature are empty and how many have a wrong length: ValueError
    where they are more than the ratios allow. Raises IndexError for a stretch that is not within DATA (Caffe2 reads
    beyond). Caffe2: operators/gather_ranges_to_dense_op.
    """

    contract = "DATA: number[S], RANGES: integer[N, R, 2], KEY?: int64 -> *OUTPUT: DATA[?]"
    docs = {
        "DATA": "a vector",
        "RANGES": "a pair (start, length) for each row and feature",
        "KEY": "by which each stretch is ordered; like DATA",
        "OUTPUT": "[N, lengths[j]] for each feature j",
    }
    gradient = NO_GRADIENT
    lengths: list[int] = Arg(ge=1, doc="of the stretches of each feature")
    min_observation: int = Arg(10000, ge=1, doc="fewer stretches than this count as this many")
    max_mismatched_ratio: float = Arg(0.01, doc="of how many stretches the length may be neither 0 nor right")
    max_empty_ratio: float = Arg(1.0, doc="how many stretches may be empty")
    _total: int = 0
    _wrong: Any = 0
    _empty: Any = 0

    def _check(self, features: Any) -> None:
        if not self.lengths:
            raise ValueError("lengths: is empty, wants one for each feature")
        if differ(features, len(self.lengths)):
            raise ValueError(f"lengths: has {len(self.lengths)} elements, RANGES has {features} features")
        if len(self.lengths) != self.n_outputs:
            raise ValueError(f"lengths: has {len(self.lengths)} elements, there are {self.n_outputs} outputs")

    def infer(self, data: TensorSpec, ranges: TensorSpec, key: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        self._check(ranges.shape[1])
        return tuple(TensorSpec((ranges.shape[0], length), data.dtype) for length in self.lengths)

    def run_cpu(self, data: np.ndarray, ranges: np.ndarray, key: np.ndarray | None = None) -> Any:
        self._check(ranges.shape[1])
        starts, counts = ranges[..., 0].astype(np.int64), ranges[..., 1].astype(np.int64)
        self._check_within(ranges, len(data))
        self._check_key(data, key)
        outputs = [
            self._feature(j, length, data, starts[:, j], counts[:, j], key) for j, length in enumerate(self.lengths)
        ]
        self._count(len(counts), np.sum((counts != 0) & (counts != self.lengths), axis=0), np.sum(counts == 0, axis=0))
        return tuple(outputs)

    @staticmethod
    def _check_within(ranges: np.ndarray, count: int) -> None:
        starts, counts = ranges[..., 0].astype(np.int64), ranges[..., 1].astype(np.int64)
        bad = np.argwhere((starts < 0) | (counts < 0) | (counts > count - starts))
        if bad.size:
            r, j = bad[0]
            raise IndexError(f"RANGES: row {r}, feature {j} is {ranges[r, j].tolist()}, DATA has {count} elements")

    @staticmethod
    def _check_key(data: Any, key: Any) -> None:
        if key is not None and key.shape != data.shape:
            raise ValueError(f"KEY: has {key.size} elements, DATA has {len(data)}")

    def run_cuda(self, data: Any, ranges: Any, key: Any = None) -> Any:
        from caffe2ops.ops.index import ranges_cuda as cuda

        self._check(ranges.shape[1])
        starts, counts, bad = cuda.pairs(ranges, len(data))
        wrong, *numbers = cuda.statistics(counts, self.lengths, bad)
        if wrong:
            self._check_within(ranges.get(), len(data))
        self._check_key(data, key)
        outputs = tuple(self.out(j, (len(ranges), length), data.dtype) for j, length in enumerate(self.lengths))
        for j, out in enumerate(outputs):
            cuda.feature(data, starts[:, j], counts[:, j] == self.lengths[j], key, out)
        self._count(len(ranges), np.array(numbers[: len(outputs)]), np.array(numbers[len(outputs) :]))
        return outputs

    def _feature(
        self, j: int, length: int, data: np.ndarray, starts: np.ndarray, counts: np.ndarray, key: np.ndarray | None
    ) -> np.ndarray:
        out: np.ndarray = self.out(j, (len(starts), length), data.dtype)
        out[...] = 0
        rows = np.flatnonzero(counts == length)
        places = starts[rows, None] + np.arange(length)
        if key is not None:
            places = np.take_along_axis(places, np.argsort(key[places], axis=1, kind="stable"), axis=1)
        out[rows] = data[places]
        return out

    def _count(self, rows: int, wrong: np.ndarray, empty: np.ndarray) -> None:
        self._total += rows
        self._wrong = self._wrong + wrong
        self._empty = self._empty + empty
        seen = max(self._total, self.min_observation)
        for name, found in (("max_mismatched_ratio", self._wrong), ("max_empty_ratio", self._empty)):
            most = getattr(self, name)
            bad = np.flatnonzero(found > seen * most)
            if bad.size:
                raise ValueError(
                    f"RANGES: {found[bad[0]]} of {seen} lengths of feature {bad[0]} are wrong, {name} = {most}"
                )
