"""Random indices with given weights, the same as those of Caffe2's CPU operators for the same `random_seed`."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.fill.mt19937 import Generator, generator_of
from caffe2ops.ops.shape.axes import known


class WeightedSample(Operator):
    """For each row a random index, as likely as its weight in the row, and the value there.

    Bit-equal to Caffe2's CPU operator for the same seed. Where there are no rows or no weights the outputs are empty
    vectors. Raises ValueError for a negative weight or NaN. Caffe2: operators/weighted_sample_op.
    """

    contract = (
        "sampling_weights: float32[N, D], sampling_values?: float32[N, D] "
        "-> sampled_indexes: int32[?], sampled_values?: float32[?]"
    )
    docs = {
        "sampling_weights": "weights, not negative; a row without a positive one gives index 0",
        "sampling_values": "values to choose from",
        "sampled_indexes": "[N, 1] indices",
        "sampled_values": "[N, 1] values at these indices",
    }
    gradient = FORBIDDEN

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs != self.n_outputs:
            raise ValueError(f"sampled_values: {self.n_outputs} outputs for {self.n_inputs} inputs, wants as many")

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def infer(self, weights: TensorSpec, values: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        n, d = weights.shape
        shape = ((n, 1) if n and d else (0,)) if known(n) and known(d) else None
        return TensorSpec(shape, np.dtype(np.int32)), TensorSpec(shape, np.dtype(np.float32))

    def run_cpu(self, weights: np.ndarray, values: np.ndarray | None = None) -> Any:
        n = len(weights)
        indices = self.out(0, (n, 1) if weights.size else (0,), np.int32)
        if weights.size:
            if not (weights >= 0).all():
                raise ValueError(f"sampling_weights: the least is {weights.min()}, wants 0 or more")
            mass = np.cumsum(weights, axis=1, dtype=np.float32)
            drawn = self.generator.uniform(n) * mass[:, -1]
            indices[:, 0] = np.count_nonzero(mass[:, :-1] < drawn[:, None], axis=1)
        if values is None:
            return indices
        sampled = self.out(1, indices.shape, np.float32)
        sampled[...] = np.take_along_axis(values, indices, 1) if weights.size else 0
        return indices, sampled


class WeightedMultiSampling(Operator):
    """Random indices into a cumulative distribution: each is as likely as the step that it makes there.

    Bit-equal to Caffe2's CPU operator for the same seed. Without weights the output is an empty vector. Raises
    ValueError where the distribution descends, is negative or NaN. Caffe2: operators/weighted_multi_sampling_op.
    """

    contract = "sampling_cdf: float32[D], shape_tensor?: any -> sampled_indexes: int32[?]"
    docs = {
        "sampling_cdf": "cumulative weights, ascending; the last need not be 1",
        "shape_tensor": "a tensor of the shape that the output gets, instead of num_samples",
        "sampled_indexes": "the indices",
    }
    num_samples: int = Arg(0, ge=0, doc="how many indices are drawn")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs == 2 and self.has_arg("num_samples"):
            raise ValueError(f"num_samples = {self.num_samples}: the input shape_tensor says it already")

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def infer(self, cdf: TensorSpec, like: TensorSpec | None = None) -> TensorSpec:
        size = cdf.shape[0]
        shape = (self.num_samples,) if like is None else like.shape
        return TensorSpec((shape if size else (0,)) if known(size) else None, np.dtype(np.int32))

    def run_cpu(self, cdf: np.ndarray, like: np.ndarray | None = None) -> Any:
        shape = (self.num_samples,) if like is None else like.shape
        indices = self.out(0, shape if cdf.size else (0,), np.int32)
        if cdf.size:
            if not (cdf[0] >= 0 and (np.diff(cdf) >= 0).all()):
                raise ValueError("sampling_cdf: descends, wants numbers from 0 on that ascend")
            drawn = self.generator.uniform(indices.size) * cdf[-1]
            indices[...] = np.searchsorted(cdf, drawn).reshape(shape)
        return indices
