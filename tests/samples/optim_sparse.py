"""Rows of parameters normalised, regularised, clipped and counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal

INDICES = {"": int64s(1, 4, 0), "int32": int32s(1, 4, 0), "a row twice": int64s(1, 4, 1), "none": int64s()}


def rows(op: str, param: np.ndarray, note: str, **args: Any) -> list[Sample]:
    """The operator on a matrix and on a tensor, with each kind of indices, and with a gradient that is not read."""
    grad = normal(3, *param.shape[1:], seed=4).astype(param.dtype)
    return [
        *(Sample(op, [param, i], args, note=f"{note} {kind}", inplace={0: 0}) for kind, i in INDICES.items()),
        Sample(op, [param, INDICES[""], grad], args, note=f"{note} grad", inplace={0: 0}),
        Sample(op, [param.reshape(5, 3, -1), int64s(4, 2)], args, note=f"{note} tensor", inplace={0: 0}),
    ]


def no_row(op: str, param: np.ndarray, **more: Any) -> Sample:
    return Sample(
        op, [param, int64s(5), *more.pop("rest", [])], inplace={0: 0}, note="no such row", error="indices: .*5",
        golden=False, reason="Caffe2 reads out of bounds",
    )  # fmt: skip


P, TALL = normal(5, 6), np.float32([[-0.3], [0.2], [0.1], [4], [-0.2]])
HALF = P.astype(np.float16)
samples = [
    *rows("SparseNormalize", P, "least"),
    *rows("SparseNormalize", P, "all", use_max_norm=0, norm=2.5),
    *rows("SparseNormalize", P, "some", norm=2.0),
    no_row("SparseNormalize", P),
    Sample("SparseNormalize", [P * 0, int64s(1)], {"use_max_norm": 0}, note="norm 0", inplace={0: 0}),
    *rows("Float16SparseNormalize", HALF, "least"),
    *rows("Float16SparseNormalize", HALF, "all", use_max_norm=0, norm=2.5),
    no_row("Float16SparseNormalize", HALF),
    *rows("SparseLpRegularizer", P, "squares"),
    *rows("SparseLpRegularizer", P, "strong squares", reg_lambda=0.25),
    *rows("SparseLpRegularizer", P, "magnitudes", p=1.0, reg_lambda=0.25),
    Sample("SparseLpRegularizer", [TALL, int64s(0, 1, 2, 4)], {"p": 1.0, "reg_lambda": 0.2}, "edge", inplace={0: 0}),
    Sample("SparseLpRegularizer", [P, int64s(0)], {"p": 3.0}, "power", inplace={0: 0}, error="p = 3.0"),
    no_row("SparseLpRegularizer", P),
    Sample("EnsureClipped", [P], {"min": -0.5, "max": 0.25}),
    Sample("EnsureClipped", [P], {"min": -0.5, "max": 0.25}, note="in place", inplace={0: 0}),
    Sample("EnsureClipped", [P], {"max": 0.25}, note="greatest only"),
    Sample("EnsureClipped", [np.float32([[np.inf, -np.inf, 1]])], note="infinite"),
    Sample("EnsureClipped", [np.zeros((0, 3), np.float32)], note="empty"),
    *(
        Sample("EnsureClipped", [P, i, normal(len(i), 6)], {"min": 0.0}, note=f"rows {kind}", inplace={0: 0})
        for kind, i in INDICES.items()
    ),
    Sample("EnsureClipped", [P, int64s(1), normal(1, 5)], note="grad", inplace={0: 0}, error="grad: shape is"),
    Sample("EnsureClipped", [P, int64s(1), normal(1, 6)], note="rows elsewhere", error="output_param: is not param"),
    Sample("EnsureClipped", [P, int64s(1)], note="no grad", inplace={0: 0}, error="grad: is missing"),
    no_row("EnsureClipped", P, rest=[normal(1, 6)]),
    *(
        Sample(
            "RowWiseCounter", [before, np.float64([1, 2, 3]), int64s(2, 0), int64s(7)], {"counter_halflife": 2},
            note=note, inplace={0: 0, 1: 1},
        )
        for note, before in (("column", int64s(2, 3, 5).reshape(3, 1)), ("later step seen", int64s(9, 3, 5)))
    ),
    Sample(
        "RowWiseCounter", [int64s(1, 2), np.float64([1, 2, 3]), int64s(0), int64s(7)], {"counter_halflife": 2},
        note="sizes", inplace={0: 0, 1: 1}, error="update_counter: has 3 elements, prev_iter has 2",
    ),
]  # fmt: skip
