"""Trains of cores, lookups of pruned tables, weighted sums of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal

SIZES = {"inp_sizes": [2, 3], "out_sizes": [4, 2], "tt_ranks": [1, 5, 1]}
CORES = 3 * 5 * 2 + 2 * 20
THREE = {"inp_sizes": [2, 1, 3], "out_sizes": [1, 2, 2], "tt_ranks": [1, 2, 3, 1]}
TABLE = {"factor_i": [2, 3, 4], "factor_j": [2, 1, 3], "ranks": [1, 4, 2, 1], "emb_size": 6}
PARTS = [normal(2, 1, 2, 4), normal(3, 4, 1, 2), normal(4, 2, 3, 1)]
INDEX, LENGTHS = int64s(0, 23, 5, 5, 17), int32s(2, 0, 3)


def tt(x: np.ndarray, args: dict[str, Any], cores: int, note: str, b: int = 8, **more: Any) -> Sample:
    return Sample("TT", [x, normal(b, seed=2), normal(cores, seed=3)], args, note=note, **more)


def table(index: np.ndarray, lengths: np.ndarray, note: str, **more: Any) -> Sample:
    args = TABLE | more.pop("args", {})
    return Sample("TTSparseLengthsSum", [*PARTS, index, lengths], args, note=note, outputs=4, **more)


def gradient(lengths: np.ndarray, index: np.ndarray, note: str = "", width: int = 6, **more: Any) -> Sample:
    found = [normal(len(index), 2, 4, seed=1), normal(len(index), 2, 2, seed=2)]
    indices = np.stack([index % 2, index // 2 % 3, index // 6], axis=1)
    inputs = [*PARTS, lengths, *found, indices, normal(len(lengths), width)]
    return Sample("TTSparseLengthsSumGradient", inputs, note=note, outputs=3, **more)


MAPPING = int32s(0, -1, 1, 2, -1)
LOOKUP = [int64s(4, 0, 3, 1, 1, 2), int32s(3, 0, 2, 1), MAPPING]


def lookup(inputs: list[Any], note: str, outputs: int = 2, **more: Any) -> Sample:
    return Sample("SparseLengthsSumSparseLookup", inputs, note=note, outputs=outputs, **more)


def front(data: np.ndarray, scalars: np.ndarray, note: str, **args: Any) -> Sample:
    return Sample("ReduceFrontWeightedSum", [data, scalars], args, note=note)


UNREAD = {"golden": False, "reason": "Caffe2 reads out of bounds"}
samples = [
    tt(normal(1, 6), SIZES, CORES, "a row"),
    tt(normal(3, 6), SIZES, CORES, "a batch"),
    tt(normal(2, 3, 2), THREE, 3 * 6 + 3 * 4 + 4, "three cores", b=4),
    tt(normal(2, 6), SIZES, CORES + 3, "cores left over"),
    tt(normal(6), SIZES, CORES, "vector", error="X: has 6 elements", golden=False, reason="Caffe2 ends the process"),
    tt(normal(2, 5), SIZES, CORES, "width", error="X: has 10 elements, .* want 12"),
    tt(normal(2, 6), SIZES, CORES - 1, "few cores", error="cores: has 69 elements, .* want 70"),
    tt(normal(2, 6), SIZES, CORES, "bias", b=7, error="b: has 7 elements, .* want 8", **UNREAD),
    tt(normal(2, 6), SIZES | {"tt_ranks": [1, 1]}, CORES, "ranks", error="wants as many sizes", **UNREAD),
    Sample("TTLinearGradient", [normal(2)], outputs=1, error="nobody has written it"),
    table(INDEX, LENGTHS, ""),
    table(int64s(), int32s(0, 0), "empty segments"),
    table(int64s(), int32s(), "none"),
    table(int64s(24), int32s(1), "no such row", error="index: element 0 is 24", **UNREAD),
    table(INDEX, int32s(2, 1), "short", error="lengths: sum is 3", golden=False, reason="Caffe2 leaves rows out"),
    table(INDEX, LENGTHS, "width", args={"emb_size": 7}, error="emb_size = 7", **UNREAD),
    table(INDEX, LENGTHS, "core", args={"factor_i": [2, 3, 5]}, error="core2: has 24 elements, wants 30", **UNREAD),
    gradient(LENGTHS, INDEX),
    gradient(int32s(0, 0), int64s(), "empty segments"),
    gradient(LENGTHS, INDEX, "width", width=5, error="dOUTPUT: shape is", **UNREAD),
    gradient(LENGTHS, int64s(0, 1, 2, 3, 24), "no such row", error="indices: element 4 is 4, core2 has 4", **UNREAD),
    lookup(LOOKUP, "int64"),
    lookup([LOOKUP[0].astype(np.int32), *LOOKUP[1:]], "int32"),
    lookup([*LOOKUP, normal(6)], "weights", outputs=3),
    lookup([int64s(), int32s(0), MAPPING], "empty"),
    lookup([*LOOKUP, normal(6)], "two outputs", error="output_weights: is missing", **UNREAD),
    lookup([*LOOKUP, normal(5)], "weights short", outputs=3, error="WEIGHTS: shape is"),
    lookup([int64s(5), int32s(1), MAPPING], "no such row", error="INDICES: element 0 is 5"),
    lookup([int64s(1, 2), int32s(3), MAPPING], "long", error="LENGTHS: sum is 3, INDICES has 2"),
    lookup(
        [int64s(1, 2), int32s(1), MAPPING], "short", error="LENGTHS: sum is 1, INDICES has 2",
        golden=False, reason="Caffe2 leaves the rest unwritten",
    ),
    front(normal(4, 3), normal(4), "matrix"),
    front(normal(4, 3, 2), normal(4), "tensor"),
    front(normal(4, 3, 2), normal(4, 3), "two dims", num_reduce_dim=2),
    front(normal(4), normal(4), "vector", grad_on_weights=1),
    front(normal(0, 3), normal(0), "no rows"),
    front(normal(3, 0), normal(3), "no columns"),
    Sample("ReduceFrontWeightedSum", [normal(4, 3), normal(3)], note="sizes", error="SCALARS: shape is .3.", **UNREAD),
    Sample(
        "ReduceFrontWeightedSum", [normal(4, 3), normal(12)], {"num_reduce_dim": 2}, "flat", error="wants .4, 3., one",
    ),
    Sample("ReduceFrontWeightedSum", [normal(4), normal(4)], {"num_reduce_dim": 2}, "dims", error="num_reduce_dim = 2"),
    Sample("ReduceFrontWeightedSumGradient", [normal(4), normal(3), int64s(4, 3)]),
    Sample("ReduceFrontWeightedSumGradient", [normal(4, 2), normal(3), int64s(4, 2, 3)], {"num_reduce_dim": 2}, "two"),
    Sample(
        "ReduceFrontWeightedSumGradient", [normal(4), normal(3), int64s(4, 2)], note="shape", error="dOUTPUT: shape is",
        **UNREAD,
    ),
]  # fmt: skip
