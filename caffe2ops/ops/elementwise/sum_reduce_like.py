"""SumReduceLike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Step
from caffe2ops.ops.elementwise.broadcast import Placing, repeated, sum_cpu, sum_cuda


class SumReduceLike(Placing):
    """A summed over the dims that B lacks, so that C has B's shape: what undoes the older rule of broadcasting.

    Which dims B has is said by axis, as for Add with broadcast=1. Caffe2: operators/elementwise_ops (SumReduceLikeOp).
    """

    contract = "A: float, B: any -> C: A[?]"
    docs = {"A": "any tensor", "B": "a tensor whose shape is a part of A's", "C": "the sums, in B's shape"}

    def infer(self, A: TensorSpec, B: TensorSpec) -> TensorSpec:
        if A.known and B.known:
            self.placed(A.shape, B.shape)
        return TensorSpec(B.shape, A.dtype)

    def run_cpu(self, A: Any, B: Any) -> Any:
        return self._run(A, B, sum_cpu)

    def run_cuda(self, A: Any, B: Any) -> Any:
        return self._run(A, B, sum_cuda)

    def _run(self, A: Any, B: Any, total: Any) -> Any:
        axes = repeated(A.shape, self.placed(A.shape, B.shape))
        out = self.out(0, B.shape, A.dtype)
        if axes:
            total(A, axes, out)
        else:
            out[...] = A.reshape(out.shape)
        return out

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)
