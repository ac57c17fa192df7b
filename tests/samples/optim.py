"""Optimizers, learning rates, counters, weighted sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, normal, rng

R = rng(3)
LR, IT = np.float32([0.1]), np.int64([5])
SHAPE = (3, 7)
OOB = "Caffe2 writes out of bounds"
UNLIKE = "Caffe2 compares the numbers of elements only"


def f(*shape: int) -> np.ndarray:
    return R.standard_normal(shape).astype(np.float32)


def p(*shape: int) -> np.ndarray:
    return np.abs(f(*shape))


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


INDICES = {"": i64(1, 4, 0), "int32": i32(1, 4, 0), "a row twice": i64(1, 4, 1), "a row three times": i64(2, 2, 2)}
MOMENTUM: dict[str, dict[str, Any]] = {
    "": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": 1},
}


def momentum() -> list[Sample]:
    found = []
    for note, args in MOMENTUM.items():
        found += [
            Sample("MomentumSGD", [f(*SHAPE), f(*SHAPE), LR], args, note=note),
            Sample("MomentumSGD", [f(*SHAPE), f(*SHAPE), LR], args, note=f"{note} in place", inplace={0: 0, 1: 1}),
            Sample(
                "MomentumSGDUpdate",
                [f(*SHAPE), f(*SHAPE), LR, f(*SHAPE)],
                args,
                note=f"{note} in place",
                inplace={0: 0, 1: 1, 2: 3},
            ),
        ]
        for where, indices in INDICES.items():
            inputs = [f(3, 7), f(5, 7), LR, f(5, 7), indices]
            found.append(Sample("SparseMomentumSGDUpdate", inputs, args, note=f"{note} {where}", inplace={1: 1, 2: 3}))
    return found


def adagrad() -> list[Sample]:
    found = []
    for note, args in {"": {}, "epsilon": {"epsilon": 0.01}, "weight decay": {"weight_decay": 0.1}}.items():
        for outputs in (2, 3, 4):
            inputs = [f(*SHAPE), p(*SHAPE), f(*SHAPE), LR]
            found.append(Sample("Adagrad", inputs, args, note=f"{note} {outputs} outputs", outputs=outputs))
        for where, indices in INDICES.items():
            dense, rows = [f(5, 7), p(5, 7)], [f(5, 7), p(5)]
            rest = [indices, f(3, 7), LR]
            more: dict[str, Any] = {"note": f"{note} {where}", "inplace": {0: 0, 1: 1}}
            found.append(Sample("SparseAdagrad", dense + rest, args, **more))
            found.append(Sample("RowWiseSparseAdagrad", rows + rest, args, **more))
    counter = np.float64([0, 1, 2, 30, 400])
    inputs = [f(5, 7), p(5), i64(1, 4, 0), f(3, 7), LR, counter]
    for args in ({"weight_decay": 0.1}, {"weight_decay": 0.1, "counter_halflife": 3}):
        found.append(Sample("RowWiseSparseAdagrad", inputs, args, note=f"counter {len(args)}", inplace={0: 0, 1: 1}))
    found.append(
        Sample("Adagrad", [f(*SHAPE), p(*SHAPE), f(*SHAPE), LR], {"decay": 0.9}, note="decay", inplace={0: 0, 1: 1})
    )
    return found


def adam() -> list[Sample]:
    found = []
    for note, args in {"": {}, "betas": {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3}}.items():
        for n in (3, 4):
            inputs = [f(*SHAPE), f(*SHAPE), p(*SHAPE), f(*SHAPE), LR, IT]
            found.append(Sample("Adam", inputs, args, note=f"{note} {n} outputs", outputs=n))
            more: dict[str, Any] = {"outputs": n, "inplace": {0: 0, 1: 1, 2: 2}}
            for where, indices in INDICES.items():
                rest = [indices, f(3, 7), LR, IT]
                named = f"{note} {where} {n} outputs"
                found.append(Sample("SparseAdam", [f(5, 7), f(5, 7), p(5, 7), *rest], args, note=named, **more))
                found.append(Sample("RowWiseSparseAdam", [f(5, 7), f(5, 7), p(5), *rest], args, note=named, **more))
            for step in (0, 4, 6, 1000):
                inputs = [f(5, 7), f(5, 7), p(5, 7), i64(1, 4, 0), f(3, 7), LR, i64(step)]
                named = f"{note} rectified at {step} {n} outputs"
                found.append(Sample("SparseAdam", inputs, {**args, "enableRAdam": 1}, note=named, **more))
    inputs = [f(*SHAPE), f(*SHAPE), p(*SHAPE), f(*SHAPE), LR, i64(0)]
    found.append(Sample("Adam", inputs, note="first step in place", inplace={0: 0, 1: 1, 2: 2}))
    return found


WARMUP = {"start_warmup_multiplier": 0.2, "constant_warmup_num_iter": 5, "linear_warmup_num_iter": 10}
CYCLE = {"cyclical_max_lr": 0.5, "cyclical_step_size": 7, "cyclical_decay": 0.9}
COSINE = {"cosine_max_lr": 0.5, "cosine_min_lr": 0.1, "cosine_period": 7, "cosine_t_mult": 1.5, "cosine_lr_shrink": 0.9}
COMPOSITE = {
    "sub_policy_num_iters": [5, 7, 20],
    "sub_policy_0_policy": "exp",
    "sub_policy_0_gamma": 0.9,
    "sub_policy_0_lr_scale": 0.5,
    "sub_policy_1_policy": "step",
    "sub_policy_1_stepsize": 2,
    "sub_policy_1_gamma": 0.8,
    "sub_policy_2_policy": "fixed",
    "sub_policy_2_lr_scale": 2.0,
}
# policy -> arguments, iterations
RATES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("fixed", {}, (7,)),
    ("step", {"stepsize": 4, "gamma": 0.9}, (0, 3, 4, 21)),
    ("exp", {"gamma": 0.9}, (0, 1, 21)),
    ("inv", {"gamma": 0.9, "power": 0.7}, (0, 1, 21)),
    ("poly", {"max_iter": 100, "power": 0.7}, (0, 21, 100, 101)),
    ("poly", {"power": 2.0}, (21,)),
    ("linearWarmup", {"start_multiplier": 0.2, "num_iter": 20}, (0, 7, 20, 21)),
    ("constantWarmup", {"multiplier": 0.2, "num_iter": 20}, (0, 19, 20)),
    ("constantWarmup", {"num_iter": 20}, (19,)),
    ("pieceWarmup", {"m1": 0.2, "n1": 5, "m2": 0.4, "n2": 20, "m3": 0.9}, (4, 5, 19, 20)),
    ("alter", {"active_first": True, "active_period": 3, "inactive_period": 4}, (0, 2, 3, 7)),
    ("alter", {"active_first": False, "active_period": 3, "inactive_period": 4}, (0, 3, 4, 7)),
    (
        "hill",
        {"num_iter": 10, "start_multiplier": 0.1, "gamma": 0.9, "power": 0.5, "end_multiplier": 0.2},
        (3, 10, 25, 99),
    ),
    ("slope", {"num_iter_1": 10, "multiplier_1": 1.0, "num_iter_2": 30, "multiplier_2": 0.3}, (9, 10, 21, 33)),
    ("gate", {"multiplier_1": 0.5, "multiplier_2": 0.25, "num_iter": 10}, (9, 10)),
    ("cyclical", {"max_lr": 0.5, "stepsize": 5, "decay": 0.9}, (0, 3, 5, 21, 33)),
    ("cosine", {"max_lr": 0.5, "min_lr": 0.1, "period": 10, "t_mult": 1.0, "lr_shrink": 0.9}, (0, 3, 10, 25)),
    ("cosine", {"max_lr": 0.5, "min_lr": 0.1, "period": 10, "t_mult": 1.5, "lr_shrink": 0.9}, (3, 25, 99)),
    ("cosine", {}, (99,)),
    ("constantThenLinearWarmup", WARMUP, (4, 5, 12, 15)),
    ("compositeCyclical", {**WARMUP, **CYCLE}, (4, 12, 19, 33)),
    ("compositeCosine", {**WARMUP, **COSINE}, (4, 12, 19, 33)),
    ("composite", COMPOSITE, (1, 5, 6, 12, 13, 32, 50)),
]


def rate(it: int, policy: str, note: str, **more: Any) -> Sample:
    args = {"base_lr": 0.1, "policy": policy, **more.pop("args", {})}
    return Sample("LearningRate", [i64(it)], args, note=note, **more)


def rates() -> list[Sample]:
    return [rate(it, policy, f"{policy} {it}", args=args) for policy, args, its in RATES for it in its]


FIRST = {
    "expected": [np.array(0.05, np.float32)],
    "golden": False,
    "reason": "Caffe2 reads past its table in iteration 0",
}
WEIGHTED = [f(*SHAPE), f(1), f(*SHAPE), f(1)]
samples = [
    *momentum(),
    Sample("MomentumSGD", [f(0, 3), f(0, 3), LR], note="empty"),
    Sample("MomentumSGD", [f(2, 3), f(2, 3), f(2)], note="two rates", error="lr: has 2 elements"),
    Sample("MomentumSGD", [f(2, 3), f(6), LR], note="shapes", error="moment: shape", golden=False, reason=UNLIKE),
    Sample(
        "SparseMomentumSGDUpdate",
        [f(3, 7), f(5, 7), LR, f(5, 7), i64(1, 2, 5)],
        note="no such row",
        inplace={1: 1, 2: 3},
        error="indices: 5 is no row of param",
    ),
    *adagrad(),
    Sample("SparseAdagrad", [f(5), p(5), i64(1, 4, 1), f(3), LR], note="a vector", inplace={0: 0, 1: 1}),
    Sample("SparseAdagrad", [f(5, 7), p(5, 7), i64(), f(0, 7), LR], note="no indices", inplace={0: 0, 1: 1}),
    Sample("RowWiseSparseAdagrad", [f(5, 7), p(5), i64(), f(0, 7), LR], note="no indices", inplace={0: 0, 1: 1}),
    Sample(
        "SparseAdagrad",
        [f(5, 7), p(5, 7), i64(1, -1), f(2, 7), LR],
        note="negative index",
        inplace={0: 0, 1: 1},
        error="indices: -1 is no row",
        golden=False,
        reason=OOB,
    ),
    Sample(
        "SparseAdagrad",
        [f(5, 7), p(5, 7), i64(1), f(1, 6), LR],
        note="width",
        inplace={0: 0, 1: 1},
        error="grad: shape",
    ),
    Sample("SparseAdagrad", [f(5, 7), p(5, 7), i64(1), f(1, 7), LR], note="not in place", error="must be input"),
    *adam(),
    Sample(
        "Adam", [f(2, 3), f(2, 3), p(2, 3), f(2, 3), LR, i32(5)], note="int32 counter", error="iter: dtype is int32"
    ),
    Sample(
        "SparseAdam",
        [f(5, 7), f(5, 7), p(5, 7), i64(5), f(1, 7), LR, IT],
        note="no such row",
        inplace={0: 0, 1: 1, 2: 2},
        error="indices: 5 is no row",
        golden=False,
        reason=OOB,
    ),
    Sample("RmsProp", [f(*SHAPE), p(*SHAPE), f(*SHAPE), LR]),
    Sample(
        "RmsProp",
        [f(*SHAPE), p(*SHAPE), f(*SHAPE), LR],
        {"decay": 0.8, "momentum": 0.5, "epsilon": 0.01},
        note="in place",
        inplace={0: 0, 1: 1, 2: 2},
    ),
    *rates(),
    rate(0, "composite", "composite 0", args=COMPOSITE, **FIRST),
    rate(0, "step", "no step", error="stepsize: is 0"),
    rate(0, "cyclical", "no cycle", error="stepsize: is 0"),
    rate(0, "alter", "no period", args={"active_period": 0, "inactive_period": 0}, error="is 0, wants a period"),
    rate(0, "linear", "unknown policy", error="policy = 'linear'"),
    rate(0, "composite", "no parts", error="sub_policy_num_iters: is empty"),
    rate(
        0,
        "composite",
        "composite of composite",
        args={"sub_policy_num_iters": [3], "sub_policy_0_policy": "composite"},
        error="sub_policy_0_policy: is 'composite'",
    ),
    Sample("LearningRate", [i64(3)], {"policy": "fixed"}, note="no base rate", error="base_lr is missing"),
    Sample("LearningRate", [i64()], {"base_lr": 0.1, "policy": "fixed"}, note="no iteration", error="input: is empty"),
    Sample("LearningRate", [i64(3)], {"base_lr": 0.1}, note="no policy", error="policy is missing"),
    Sample("LearningRate", [i32(3)], {"base_lr": 0.1, "policy": "fixed"}, note="int32", error="input: dtype is int32"),
    Sample("LearningRateAdaption", [LR, f(*SHAPE), f(*SHAPE)], {"lr_alpha": 0.2}),
    Sample(
        "LearningRateAdaption", [LR, f(*SHAPE), f(*SHAPE)], {"normalized_lr_adaption": 0}, note="plain", inplace={0: 0}
    ),
    Sample("LearningRateAdaption", [LR, f(2, 3), f(5)], note="sizes", error="effgrad: has 5 elements"),
    Sample("WeightedSum", WEIGHTED[:2], note="one"),
    Sample("WeightedSum", WEIGHTED, note="two"),
    Sample("WeightedSum", WEIGHTED, note="in place", inplace={0: 0}),
    Sample("WeightedSum", WEIGHTED, {"grad_on_w": 1}, note="gradient on weights"),
    Sample("WeightedSum", [f(2, 3), f(1), f(6), f(1)], note="shapes", differentiable=False, reason="shapes differ"),
    Sample("WeightedSum", [f(2, 3), f(1), f(5), f(1)], note="sizes", error="tensor 1: has 5 elements"),
    Sample("WeightedSum", [f(2, 3), f(2)], note="two weights", error="weight 0: has 2 elements"),
    Sample("WeightedSum", [f(2, 3), f(1), f(2, 3)], note="odd", error="inputs % 2 == 0"),
    Sample("WeightedSumGradient", [f(*SHAPE), *WEIGHTED], outputs=2),
    Sample("WeightedSumGradient", [f(*SHAPE), *WEIGHTED], {"grad_on_w": 1}, note="on weights", outputs=4),
    Sample("WeightedSumGradient", [f(*SHAPE), *WEIGHTED], note="outputs", outputs=4, error="there are 4 for 5 inputs"),
    Sample("Iter", note="made", random=True, expected=[i64(1)], reason="counts on in every run"),
    Sample("Iter", [i64(7)], note="in place", inplace={0: 0}),
    Sample("Iter", [i64(7, 8)], note="two", inplace={0: 0}, error="iter"),
    Sample("Iter", [i64(7)], note="not in place", error="must be input"),
    Sample("CreateMutex"),
    Sample(
        "AtomicIter",
        [Blob("mutex"), i64(7)],
        before=[("CreateMutex", [], ["mutex"], {})],
        inplace={0: 1},
    ),
    Sample(
        "AtomicIter", [f(1), i64(7)], note="no mutex", inplace={0: 1}, error="mutex: holds ndarray", devices=("cpu",)
    ),
    Sample("ClipTensorByScaling", [normal(2, 3), np.float32([4])], {"threshold": 2.0}),
    Sample(
        "ClipTensorByScaling", [normal(2, 3), np.float32([4]), np.float32([3])], {"threshold": 2.0}, note="let pass"
    ),
    Sample(
        "ClipTensorByScaling", [normal(2, 3), np.float32([4]), np.float32([1.5])], {"threshold": 2.0}, note="factor"
    ),
    Sample("ClipTensorByScaling", [normal(2), np.float32([4, 5])], {"threshold": 2.0}, note="val", error="val: has 2"),
    Sample(
        "ClipTensorByScaling", [normal(2), np.float32([4])], {"threshold": -2.0}, note="negative", error="threshold"
    ),
]
