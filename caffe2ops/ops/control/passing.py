"""Operators that leave blobs as they are; what counts is that they stand in the net."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator


class Passes(Operator):
    """Base: blobs of any kind, not read and not written."""

    inplace = "input == output"

    def run_cpu(self, *inputs: Any) -> tuple[Any, ...]:
        return tuple(blob.value for blob in self.outputs)

    run_cuda = run_cpu


class DataCouple(Passes):
    """Does nothing; to whoever orders operators each output, an input in place, depends on all inputs.

    Caffe2: operators/data_couple.
    """

    contract = "*X?: blob -> *Y?: blob"
    docs = {"X": "any number of blobs", "Y": "the first of them, in place"}
    inplace_enforced = "input == output"


class AsyncNetBarrier(Passes):
    """Does nothing; where operators run in parallel the net waits here. Caffe2: operators/async_net_barrier_op."""

    contract = "*X: blob -> *Y: blob"
    docs = {"X": "any number of blobs", "Y": "the same, in place"}
    gradient = FORBIDDEN
    cross_device: int = Arg(0, doc="no meaning here: whether to wait for all devices")


class NegateGradient(Operator):
    """Y = X; on the way back the gradient changes its sign. Caffe2: operators/negate_gradient_op."""

    contract = "X: any -> Y: X"
    docs = {"X": "any tensor", "Y": "a copy"}
    inplace = [(0, 0)]
    gradient = "Negative(dY) -> dX"

    def run_cpu(self, x: np.ndarray) -> np.ndarray:
        out: np.ndarray = self.out(0, x.shape, x.dtype)
        if out is not x:
            out[...] = x
        return out

    run_cuda = run_cpu
