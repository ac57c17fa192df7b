"""Optimizers that adapt their steps: Adadelta, Wngrad, Storm, Ftrl, Lars and kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int64s, rng

R = rng(13)
LR, IT = np.float32([0.1]), int64s(7)
SHAPE = (3, 7)
FTRL = {"alpha": 0.1, "beta": 0.5, "lambda1": 0.1, "lambda2": 0.2}
INDICES = {"": int64s(1, 4, 0), "int32": np.int32([1, 4, 0]), "a row twice": int64s(1, 4, 1)}


def f(*shape: int) -> np.ndarray:
    return R.standard_normal(shape).astype(np.float32)


def p(*shape: int) -> np.ndarray:
    return np.abs(f(*shape))


def n_z(*shape: int) -> np.ndarray:
    return np.stack([p(*shape), f(*shape)], axis=-1)


def both(
    dense: str, sparse: str, state: list[Any], args: dict[str, Any], last: bool = False, **more: Any
) -> list[Sample]:
    """The dense operator, in place too, and the sparse one; a state is a function of the shape, or an array."""

    def made(*shape: int) -> list[np.ndarray]:
        return [f(*shape), *(s(*shape) if callable(s) else s.copy() for s in state)]

    rest = [] if dense == "Ftrl" else [LR]
    places = {i: i for i in range(len(state) + 1)}
    found = [
        Sample(dense, [*made(*SHAPE), f(*SHAPE), *rest], note="defaults", **more),
        Sample(dense, [*made(*SHAPE), f(*SHAPE), *rest], args, note="arguments", **more),
        Sample(dense, [*made(*SHAPE), f(*SHAPE), *rest], args, note="in place", inplace=places),
    ]
    for note, indices in INDICES.items():
        middle = [f(3, 7), indices] if last else [indices, f(3, 7)]
        found.append(Sample(sparse, [*made(5, 7), *middle, *rest], args, note=note, inplace=places))
    middle = [f(1, 7), int64s(5)] if last else [int64s(5), f(1, 7)]
    found.append(
        Sample(
            sparse, [*made(5, 7), *middle, *rest], args, note="no such row", inplace=places,
            error="indices: 5 is no row", golden=False, reason="Caffe2 writes out of bounds",
        )
    )  # fmt: skip
    return found


DECAY = [f(*SHAPE), f(*SHAPE), p(*SHAPE), f(*SHAPE), LR, IT]


def smart(indices: np.ndarray, args: dict[str, Any], note: str) -> Sample:
    inputs = [f(5, 7), f(5, 7), p(5, 7), int64s(0, 2, 7, 4, 8), indices, f(3, 7), LR, IT]
    return Sample("SmartDecaySparseAdam", inputs, args, note=note, inplace={i: i for i in range(4)})


def count(indices: np.ndarray, note: str, **args: Any) -> Sample:
    inputs = [int64s(0, 2, 3, 4, 7), np.float64([1, 2, 3, 4, 5]), indices, IT]
    return Sample("RowWiseCounter", inputs, args, note=note, inplace={0: 0, 1: 1})


samples = [
    *both("Adadelta", "SparseAdadelta", [p, p], {"epsilon": 0.1, "decay": 0.5}),
    *both("Wngrad", "SparseWngrad", [np.float32([2])], {"epsilon": 0.1}),
    *(Sample("Wngrad", [f(*SHAPE), np.float32([2]), f(*SHAPE), LR], note=f"{n} outputs", outputs=n) for n in (3, 4)),
    *both("Storm", "SparseStorm", [f, np.float32([2])], {"momentum": 5.0, "beta": 0.5}, last=True),
    *both("Ftrl", "SparseFtrl", [n_z], FTRL),
    Sample("Ftrl", [f(*SHAPE), n_z(*SHAPE), f(*SHAPE), np.float32([0.3])], {"beta": 0.5}, note="alpha"),
    Sample("Ftrl", [f(2), n_z(2), f(2), np.float32([0.3])], FTRL, note="alpha twice", error="alpha: is given both"),
    Sample("Ftrl", [f(*SHAPE), n_z(*SHAPE) * 0, f(*SHAPE)], FTRL | {"lambda1": 1.0}, note="some 0"),
    Sample("GFtrl", [f(4, 3), n_z(4, 3), f(4, 3)], note="defaults"),
    Sample("GFtrl", [f(4, 3), n_z(4, 3), f(4, 3)], FTRL, note="arguments"),
    Sample("GFtrl", [f(4, 3), n_z(4, 3) * 0, f(4, 3)], FTRL | {"lambda1": 1.0}, note="some 0"),
    Sample("GFtrl", [f(4, 3), n_z(4, 3), f(4, 3)], FTRL, note="in place", inplace={0: 0, 1: 1}),
    Sample("Lars", [f(*SHAPE), f(*SHAPE), *map(np.float32, ([0.1], [0.2], [1.0]))]),
    Sample(
        "Lars",
        [f(*SHAPE), f(*SHAPE), *map(np.float32, ([0.1], [0.2], [1.0]))],
        {"offset": 0.3, "lr_min": 0.7},
        note="least",
    ),
    Sample("Lars", [f(*SHAPE) * 0, f(*SHAPE), *map(np.float32, ([0.1], [0.2], [3.0]))], note="zero"),
    Sample("DecayAdagrad", DECAY),
    Sample(
        "DecayAdagrad",
        DECAY,
        {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1, "weight_decay": 0.2, "bias_correction_first": 0},
        note="arguments",
    ),
    *(
        Sample("WeightScale", [f(3), int64s(at)], {"stepsize": 5, "upper_bound_iter": 10, "scale": 0.5}, note=f"{at}")
        for at in (4, 5, 9, 14)
    ),
    Sample("WeightScale", [f(3), int64s(9)], {"stepsize": 5, "scale": 0.5}, note="no bound"),
    *(count(indices, note, counter_halflife=3) for note, indices in INDICES.items()),
    count(int64s(1), "no halflife"),
    *(smart(indices, {}, note) for note, indices in INDICES.items()),
    smart(int64s(2, 4, 3), {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.1}, "arguments"),
]
