"""Int8Conv and Int8FC: work in blocks, and weights that are kept from run to run."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops import NetDef, OperatorDef, Workspace
from caffe2ops.ops.int8 import conv
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
    monkeypatch.setattr(conv, "BLOCK", 24)
    np.testing.assert_array_equal(answer(op, "", 0), expected)


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
