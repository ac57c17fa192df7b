"""Numbers in even steps: Range, RangeFill, LengthsRangeFill."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Array, Operator
from caffe2ops.ops.fill.filler import Filler
from caffe2ops.registry import array_module


class Range(Operator):
    """start, start + step, start + 2 step, ... as long as they lie before stop; one input is stop, two start and stop.

    Each input has one element, start is 0 and step 1 where not given. Whole numbers counted down stop before a last
    partial step: 7, 5 from 7 to 2 by -2. ValueError for a step of 0, or where there is no finite number of elements.
    Caffe2: operators/utility_ops.
    """

    contract = "start: number, stop?: start, step?: start -> output: start[?]"
    docs = {
        "start": "the first number, or where it is the only input the end",
        "stop": "the end, which is not reached",
        "step": "from one to the next, less than 0 to count down",
        "output": "the numbers",
    }
    gradient = NO_GRADIENT

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), inputs[0].dtype)

    def run_cpu(self, *inputs: Array) -> Array:
        for name, x in zip(("start", "stop", "step"), inputs):
            if x.size != 1:
                raise ValueError(f"{name}: has {x.size} elements, wants 1")
        number = inputs[0].dtype.type
        given = [number(x.item()) for x in inputs]
        start, stop, step = {1: (number(0), *given, number(1)), 2: (*given, number(1))}.get(len(given), tuple(given))
        if step == 0:
            raise ValueError("step: Step size cannot be 0.")
        out = self.out(0, (_length(start, stop, step),), number)
        out[...] = array_module(self.device).arange(out.size, dtype=number)
        out *= step
        out += start
        return out

    run_cuda = run_cpu


def _length(start: Any, stop: Any, step: Any) -> int:
    """How many numbers there are. Raises ValueError where that is not finite."""
    if isinstance(start, np.integer):
        way, by = int(stop) - int(start), int(step)
        whole = abs(way) // abs(by) * (1 if (way < 0) == (by < 0) else -1)
        return max(0, whole + (whole * by < way))
    steps = (stop - start) / step
    if not np.isfinite(steps):
        raise ValueError(f"stop: from {start} to {stop} by {step} there is no finite number of elements")
    return max(0, math.ceil(steps))


class RangeFill(Filler):
    """0, 1, 2, ... as float32, in the order of memory. Caffe2: operators/filler_op.

    input: any tensor, or with input_as_shape int64[rank].
    """

    contract = "input?: any -> output: float32[?]"
    docs = {"input": "gives the shape (see input_as_shape)", "output": "the numbers from 0"}

    def fill(self, out: Array, *more: Array) -> Array:
        return self.put(out, np.arange(out.size, dtype=np.int64).astype(np.float32))


class LengthsRangeFill(Operator):
    """For each length the numbers 0 .. length - 1, one run after the other: [2, 0, 3] gives [0, 1, 0, 1, 2].

    lengths: int32[N] -> int32[sum(lengths)]. ValueError for a negative length, where Caffe2 reads out of bounds.
    Caffe2: operators/filler_op.
    """

    contract = "lengths: int32[N] -> range_sequence: int32[?]"
    docs = {"lengths": "how far to count, each", "range_sequence": "the runs, one after the other"}
    gradient = NO_GRADIENT

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), np.int32)

    def run_cpu(self, lengths: np.ndarray) -> np.ndarray:
        _check(lengths)
        ends = np.cumsum(lengths, dtype=np.int64)
        total = int(ends[-1]) if ends.size else 0
        out = self.out(0, (total,), np.int32)
        out[...] = np.arange(total) - np.repeat(ends - lengths, lengths)
        return out

    def run_cuda(self, lengths: Array) -> Array:
        cupy = array_module(self.device)
        _check(lengths)
        ends = cupy.cumsum(lengths, dtype=np.int64)
        at = cupy.arange(int(ends[-1]) if ends.size else 0)
        out = self.out(0, at.shape, np.int32)
        out[...] = at - (ends - lengths)[cupy.searchsorted(ends, at, side="right")]
        return out


def _check(lengths: Array) -> None:
    if lengths.size and int(lengths.min()) < 0:
        raise ValueError(f"lengths: element {int(lengths.argmin())} is {int(lengths.min())}, wants 0 or more")
