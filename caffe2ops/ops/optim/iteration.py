"""Counting iterations, alone or under a mutex."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Array, Operator
from caffe2ops.ops.stats.counters import registry_of


class Iter(Operator):
    """Adds 1 to a counter in place; without an input the output is the counter, made as 0 where the blob is empty.

    iter: int64[1] -> int64[1]. Caffe2: sgd/iter_op.
    """

    contract = "iter?: int64 -> output_iter: int64[1]"
    docs = {"iter": "the counter, one element", "output_iter": "the counter"}
    gradient = NO_GRADIENT
    inplace = inplace_enforced = ((0, 0),)

    def run_cpu(self, counter: Array | None = None) -> Array:
        if counter is None:
            held = self.outputs[0].value if self.outputs else None
            counter = self.out(0, (1,), np.int64)
            if counter is not held:
                counter[...] = 0
        return increment(counter)

    run_cuda = run_cpu


class AtomicIter(Operator):
    """Adds 1 to a counter in place, holding a mutex meanwhile.

    mutex: from CreateMutex; iter: int64[1] -> int64[1]. The workspace's registry of statistics counts the runs:
    atomic_iter/stats/ITER/num_iter. Caffe2: sgd/iter_op.
    """

    contract = "mutex: blob, iter: int64 -> output_iter: int64[1]"
    docs = {"mutex": "held while the counter changes", "iter": "the counter, one element", "output_iter": "the counter"}
    gradient = NO_GRADIENT
    inplace = inplace_enforced = ((1, 0),)
    mutex = "mutex"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.key = f"atomic_iter/stats/{self.op_def.input[1]}/num_iter"
        self.registry = registry_of(self.workspace)
        self.registry.add(self.key)

    def run_cpu(self, mutex: Any, counter: Array) -> Array:
        self.registry.add(self.key, 1)
        return increment(counter)

    run_cuda = run_cpu


def increment(counter: Array) -> Array:
    """Adds 1 to the only element, in place."""
    if counter.size != 1:
        raise ValueError(f"iter: has {counter.size} elements, wants 1")
    counter += 1
    return counter
