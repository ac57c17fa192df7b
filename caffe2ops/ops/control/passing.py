"""Operators that leave blobs as they are; what counts is that they stand in the net."""

from __future__ import annotations

from typing import Any

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
