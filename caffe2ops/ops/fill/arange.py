"""Range: numbers in even steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Array, Operator
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
