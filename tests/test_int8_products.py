"""Int8Conv and Int8FC: work in blocks, and weights that are kept from run to run."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops import NetDef, OperatorDef, Workspace
from caffe2ops.ops.int8 import arithmetic
from caffe2ops.qtensor import QTensor

SHAPES = {"Int8Conv": ((2, 7, 5, 4), (6, 3, 3, 4)), "Int8FC": ((9, 8), (6, 8))}


def tensors(op: str, seed: int) -> dict[str, QTensor]:
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(0, 256, shape).astype(np.uint8) for shape in SHAPES[op])
    bias = QTensor(rng.integers(-900, 900, 6).astype(np.int32), 2e-4)
    return {"x": QTensor(x, 0.02, 120), "w": QTensor(w, 0.01, 128), "b": bias}


def net(op: str, engine: str) -> NetDef:
    args = {"kernel": 3, "pad": 1, "order": "NHWC"} if op == "Int8Conv" else {}
    args |= {"Y_scale": 0.2, "Y_zero_point": 100}
    return NetDef(name="n", op=(OperatorDef(type=op, input=("x", "w", "b"), output="y", args=args, engine=engine),))


def answer(op: str, engine: str, seed: int) -> np.ndarray:
    workspace = Workspace()
    for name, value in tensors(op, seed).items():
        workspace.feed(name, value)
    workspace.run(net(op, engine))
    return workspace.fetch("y").data


@pytest.mark.parametrize("op", SHAPES)
def test_blocks(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer does not depend on the size of the blocks, which need not divide the rows."""
    expected = answer(op, "", 0)
    monkeypatch.setattr(arithmetic, "BLOCK", 24)
    np.testing.assert_array_equal(answer(op, "", 0), expected)


def requantised(value: int, scale: np.float32, zero_point: int, relu: bool) -> int:
    """The definition, in Python's whole numbers: a product of 31 bits, rounded, and a shift, rounded away from 0."""
    part, exponent = np.frexp(scale)
    product = (value * int(part * 2**31) + 2**30) // 2**31
    shift = -int(exponent)
    whole = (abs(product) + (2**shift >> 1)) // 2**shift * (1 if product >= 0 else -1)
    return min(max(whole + zero_point, zero_point if relu else 0), 255)


@pytest.mark.parametrize("scale", [0.999, 0.5, 0.25, 1 / 64, 0.0123, 1e-5])
@pytest.mark.parametrize("zero_point", [0, 120])
@pytest.mark.parametrize("relu", [False, True])
def test_rounding(scale: float, zero_point: int, relu: bool) -> None:
    """Halves, and numbers of all sizes and signs."""
    by, rng = np.float32(scale), np.random.default_rng(0)
    sums = np.concatenate([np.arange(-400, 400), rng.integers(-(2**31) + 1000, 2**31 - 1000, 400)]).reshape(-1, 4)
    offsets = np.int64([0, 1, -2, 900])
    out = np.empty(sums.shape, np.uint8)
    arithmetic.requantise(sums.astype(np.float64), offsets, by, zero_point, relu, out)
    expected = [[requantised(int(v), by, zero_point, relu) for v in row] for row in sums + offsets]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("engine", ["", "DNNLOWP"])
@pytest.mark.parametrize("op", SHAPES)
def test_new_weights(op: str, engine: str) -> None:
    """A net that ran before sees other weights, and the old ones again."""
    workspace = Workspace()
    for name, value in tensors(op, 0).items():
        workspace.feed(name, value)
    bound = workspace.create(net(op, engine))
    for seed in (0, 1, 0):
        for name, value in tensors(op, seed).items():
            workspace.feed(name, value)
        bound.run()
        np.testing.assert_array_equal(workspace.fetch("y").data, answer(op, engine, seed))
