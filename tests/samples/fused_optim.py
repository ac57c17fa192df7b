"""Adagrad fused with gradients of sums of rows; YellowFin; momentum with weight decay."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal

LR = np.float32([-0.1])
INDICES, LENGTHS = int64s(4, 0, 1, 4, 4, 2), int32s(3, 0, 2, 1)
WEIGHTS = normal(3, seed=8)
PLACES = {0: 0, 1: 1}
UNREAD = ("WeightedSum", True)


def fused(kind: str, row_wise: bool, indices: np.ndarray, lengths: np.ndarray, note: str, **more: Any) -> Sample:
    shape = more.pop("shape", (5, 9))
    weighted = kind.startswith("Weighted")
    name, approximate = kind.removesuffix("Approx"), "Approx" * kind.endswith("Approx")
    moment = np.abs(normal(shape[0], seed=1) if row_wise else normal(*shape, seed=1))
    inputs = [normal(*shape), moment, *[more.pop("weights", WEIGHTS)] * weighted, indices]
    inputs += [normal(len(lengths), *shape[1:], seed=2), LR, lengths]
    op = f"{'RowWise' * row_wise}SparseAdagradFusedWithSparseLengths{name}Gradient{approximate}"
    return Sample(op, inputs, note=note, inplace=PLACES, outputs=2 + weighted, **more)


def all_of(kind: str, row_wise: bool) -> list[Sample]:
    of = (kind, row_wise)
    unread = {"golden": False, "reason": "Caffe2 does not look at decay there"}
    unsafe = {"golden": False, "reason": "Caffe2 reads out of bounds"}
    found = [
        fused(*of, INDICES, LENGTHS, "a row three times"),
        fused(*of, INDICES.astype(np.int32), LENGTHS, "arguments", args={"epsilon": 0.1, "weight_decay": 0.05}),
        fused(*of, INDICES, LENGTHS, "columns", shape=(5, 1), args={"weight_decay": 0.05}),
        fused(*of, int64s(3, 0, 1), int32s(1, 2), "tensor", shape=(5, 3, 2)),
        fused(*of, INDICES, LENGTHS, "engine", engine="SIMD") if row_wise else None,
        fused(*of, int64s(), int32s(0, 0), "empty segments"),
        fused(*of, int64s(), int32s(), "none"),
        fused(*of, int64s(5), int32s(1), "no such row", error="indices: element 0 is 5"),
        fused(*of, INDICES, int32s(3, 2), "short", error="lengths: sum is 5, indices has 6"),
        fused(
            *of, INDICES, LENGTHS, "decay", args={"decay": 0.5}, error="decay = 0.5", **(unread if of == UNREAD else {})
        ),
    ]
    if kind.startswith("Weighted"):
        found.append(
            fused(*of, INDICES, LENGTHS, "few weights", weights=WEIGHTS[:2], error="aux_param: has 2", **unsafe)
        )
    return [sample for sample in found if sample]


def yellow(step: int, note: str, **more: Any) -> Sample:
    shape = more.pop("shape", (3, 4))
    state = [normal(*shape), normal(*shape, seed=1), np.float32([0.3]), np.float32([0.6]), np.abs(normal(6, seed=2))]
    state += [0.2 * normal(*shape, seed=3), np.abs(normal(*shape, seed=4)), np.float32([0.4, 0.9, 0.2, 0.5, 0.3])]
    inputs = [*state, normal(*shape, seed=5), int64s(step)]
    args = {"curv_win_width": 6, "beta": 0.8} | more.pop("args", {})
    return Sample(
        "YellowFin", inputs, args, note=note, outputs=8, **{"inplace": {i: i for i in range(8)}, **more}
    )  # fmt: skip


def decayed(op: str, nesterov: bool, **more: Any) -> Sample:
    """A step with weight decay, and what comes out of it computed apart."""
    dtype = np.float16 if op == "FP16" else np.float32
    grad, moment, param = (normal(3, 5, seed=i).astype(dtype) for i in range(3))
    g = np.float64(0.1) * param + grad
    new = 0.3 * g + 0.9 * moment
    step = 1.9 * new - 0.9 * moment if nesterov else new
    args = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": nesterov, **more.pop("args", {})}
    return Sample(
        f"{op}MomentumSGDUpdate", [grad, moment, np.float32([0.3]), param], args, note=f"nesterov {nesterov}",
        expected=[value.astype(dtype) for value in (step, new, param - step)], outputs=3, golden=False,
        reason="Caffe2 has it for CUDA only", tolerance=(1e-2, 1e-2) if op == "FP16" else None, **more,
    )  # fmt: skip


samples = [
    *(
        sample
        for row_wise in (False, True)
        for kind in ("Sum", "SumApprox", "Mean", "MeanApprox", "WeightedSum", "WeightedSumApprox")
        for sample in all_of(kind, row_wise)
    ),
    *(decayed(op, nesterov) for op in ("FP16", "FP32") for nesterov in (False, True)),
    decayed("FP16", True, args={"fp32_update": 1}),
    decayed("FP32", True, inplace={0: 0, 1: 1, 2: 3}),
    decayed("FP16", True, inplace={0: 0, 1: 1, 2: 3}),
    yellow(1, "first step"),
    yellow(2, "second step"),
    yellow(9, "later"),
    yellow(9, "arguments", args={"nesterov": 1, "zero_debias": 0, "epsilon": 0.5, "beta": 0.999}),
    yellow(9, "vector", shape=(4,), args={"nesterov": 1}),
    yellow(0, "no step", error="iter: is 0", golden=False, reason="Caffe2 writes out of bounds"),
    yellow(
        9, "window", args={"curv_win_width": 7}, error="curv_win: shape is .6., wants .7.",
        golden=False, reason="Caffe2 reads out of bounds",
    ),
]  # fmt: skip
