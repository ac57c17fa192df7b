"""WeightedSampleDequeueBlobs: a record of one of several queues, drawn at random."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.fill.mt19937 import Generator, generator_of
from caffe2ops.ops.queue.blobs_queue import Values, queue_of
from caffe2ops.ops.queue.transfer import QueueOperator


class WeightedSampleDequeueBlobs(QueueOperator):
    """The next record of one of the queues, drawn with probability weights / sum(weights); the draws are Caffe2's for
    the same `random_seed`.

    Waits while that queue is empty; `status` is True where it is closed and empty, then the other outputs keep their
    values. ValueError for weights that are not one each, none negative, with a positive sum. Caffe2: queue/queue_ops.
    """

    contract = "*queues: blob -> *blob: blob, status: bool[]"
    docs = {
        "queues": "from CreateBlobsQueue, with records of as many blobs",
        "blob": "the values of the record",
        "status": "whether there was no record",
    }
    weights: list[float] = Arg((), doc="one for each queue; all alike by default")
    table_idx_blob: int = Arg(-1, ge=-1, doc="which output gets the number of the queue, int32[1]; -1: none")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        weights = np.asarray(self.weights or [1] * self.n_inputs, np.float32)
        if len(weights) != self.n_inputs:
            raise ValueError(f"weights: are {len(weights)}, there are {self.n_inputs} queues")
        total = np.add.accumulate(weights)[-1]
        if not (weights >= 0).all() or not total > 0:
            raise ValueError(f"weights: {weights.tolist()}, wants none negative and a positive sum")
        if self.table_idx_blob >= self.n_outputs - 1:
            raise ValueError(f"table_idx_blob: {self.table_idx_blob}, wants less than {self.n_outputs - 1}")
        self._limits = np.add.accumulate(weights / total)[:-1]

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def run_cpu(self, *queues: Any) -> Values:
        drawn = int(np.searchsorted(self._limits, self.generator.uniform(1)[0]))
        held = self.held(self.n_outputs - 1)
        record = queue_of(queues[drawn], len(held), f"queue {drawn}").read(instead=held)
        outputs = [*(held if record is None else record), self.status(record is None)]
        if self.table_idx_blob >= 0:
            outputs[self.table_idx_blob] = np.array([drawn], np.int32)
        return outputs
