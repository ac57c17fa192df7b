"""Counting iterations, alone or under a mutex."""

from __future__ import annotations

import threading

import numpy as np

from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Array, Operator


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


class CreateMutex(Operator):
    """Makes a mutex, for operators of nets that run at the same time. Caffe2: operators/atomic_ops."""

    contract = "-> mutex_ptr: blob"
    docs = {"mutex_ptr": "the mutex"}
    gradient = FORBIDDEN

    def run_cpu(self) -> object:
        return threading.Lock()

    run_cuda = run_cpu


class AtomicIter(Operator):
    """Adds 1 to a counter in place, holding a mutex meanwhile.

    mutex: from CreateMutex; iter: int64[1] -> int64[1]. Caffe2: sgd/iter_op.
    """

    contract = "mutex: blob, iter: int64 -> output_iter: int64[1]"
    docs = {"mutex": "held while the counter changes", "iter": "the counter, one element", "output_iter": "the counter"}
    gradient = NO_GRADIENT
    inplace = inplace_enforced = ((1, 0),)

    def run_cpu(self, mutex: threading.Lock, counter: Array) -> Array:
        if not hasattr(mutex, "acquire"):
            raise TypeError(f"mutex: holds {type(mutex).__name__}, wants what CreateMutex makes")
        with mutex:
            return increment(counter)

    run_cuda = run_cpu


def increment(counter: Array) -> Array:
    """Adds 1 to the only element, in place."""
    if counter.size != 1:
        raise ValueError(f"iter: has {counter.size} elements, wants 1")
    counter += 1
    return counter
