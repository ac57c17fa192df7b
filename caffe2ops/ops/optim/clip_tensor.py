"""ClipTensorByScaling."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.optim.rows import one


class ClipTensorByScaling(Operator):
    """clipped = input_tensor limit / val where val > limit, else input_tensor; limit = threshold, times
    additional_threshold if given.

    val is a norm, usually of that tensor. Caffe2: sgd/clip_tensor_op.
    """

    contract = (
        "input_tensor: float[...], val: input_tensor, additional_threshold?: input_tensor -> clipped: input_tensor[...]"
    )
    docs = {
        "input_tensor": "any tensor",
        "val": "its norm, one element",
        "additional_threshold": "a factor on threshold, one element",
        "clipped": "the tensor, scaled down where need be",
    }
    gradient = FORBIDDEN
    inplace = ((0, 0),)
    threshold: float = Arg(gt=0, doc="the greatest val that is let pass")

    def run_cpu(self, x: Any, val: Any, factor: Any = None) -> Any:
        out = self.out(0, x.shape, x.dtype)
        norm = one("val", val)
        limit = x.dtype.type(self.threshold)
        if factor is not None:
            limit = limit * one("additional_threshold", factor)
        return np.multiply(x, limit / norm if norm > limit else x.dtype.type(1), out=out)

    run_cuda = run_cpu
