"""HasElements: whether any of several tensors has elements."""

from __future__ import annotations

from caffe2ops.operator import FORBIDDEN, Array, Operator


class HasElements(Operator):
    """Whether any of the tensors has elements. Caffe2: operators/utility_ops."""

    contract = "*X: any -> has_elements: bool[]"
    docs = {"X": "tensors of any dtypes", "has_elements": "one truth value"}
    gradient = FORBIDDEN

    def run_cpu(self, *x: Array) -> Array:
        out = self.out(0, (), bool)
        out[...] = any(tensor.size for tensor in x)
        return out

    run_cuda = run_cpu
