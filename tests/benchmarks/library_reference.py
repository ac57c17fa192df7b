"""The reference's side of library.py, and the inputs of both sides; run by an interpreter with the real Caffe2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def made(kind: str, shape: list[int], below: int = 0, seed: int = 0) -> np.ndarray:
    """An input: numbers of one kind.

    "normal" and "positive" (0.1 to 1) are floats; "indices", "indices32" lie below `below`, "sorted" ones
    ascend; "lengths" are so many numbers that add up to `below`; "value" is `below` itself; "boxes" are rows (0, x1,
    y1, x2, y2) on an image of `below` pixels; "bools".
    """
    rng = np.random.RandomState(seed)
    if kind == "normal":
        return rng.randn(*shape).astype(np.float32)
    if kind == "positive":
        return (0.9 * rng.rand(*shape) + 0.1).astype(np.float32)
    if kind == "value":
        return np.full(shape, below, np.int64)
    if kind == "boxes":
        corners = np.sort(rng.rand(shape[0], 2, 2), axis=1).reshape(-1, 4) * below
        return np.insert(corners, 0, 0, axis=1).astype(np.float32)
    if kind == "bools":
        return rng.rand(*shape) < 0.5
    if kind == "lengths":
        return rng.multinomial(below, np.full(shape[0], 1 / shape[0])).astype(np.int32)
    if kind == "indices":
        return rng.randint(0, below, shape).astype(np.int64)
    indices = rng.randint(0, below, shape).astype(np.int32)
    return np.sort(indices) if kind == "sorted" else indices


def operator(op: str, inputs: list[list[Any]], args: dict[str, Any], outputs: list[str]) -> Callable[[], None]:
    """A net of this operator alone."""
    from caffe2.python import core, workspace

    core.GlobalInit(["benchmark", "--caffe2_log_level=3", "--caffe2_omp_num_threads=1"])
    names = [f"in{i}" for i in range(len(inputs))]
    for i, (name, spec) in enumerate(zip(names, inputs)):
        workspace.FeedBlob(name, made(*spec, seed=i))
    net = core.Net("one")
    net.Proto().op.extend([core.CreateOperator(op, names, outputs, **args)])
    workspace.CreateNet(net)
    run, name = workspace.C.run_net, net.Proto().name
    return lambda: run(name, 1, False)
