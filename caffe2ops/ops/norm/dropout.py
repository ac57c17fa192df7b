"""Dropout and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.fill.mt19937 import Generator, generator_of
from caffe2ops.ops.shape.axes import differ
from caffe2ops.registry import array_module
from caffe2ops.settled import Settled


class Dropping(Settled):
    """Base of dropout and its gradient."""

    ratio: float = Arg(
        0.5, ge=0, lt=1, doc="the probability of an element to be dropped; those kept are multiplied by 1 / (1 - ratio)"
    )
    is_test: bool = Arg(False, doc="pass everything through unchanged, without a mask")

    def keep(self, x: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
        """Writes x scaled where the mask is True, 0 elsewhere; out may be x."""
        one = x.dtype.type(1)
        np.multiply(x, one / (one - x.dtype.type(self.ratio)), out=out)
        out *= mask


class Dropout(Dropping):
    """Sets elements to 0 at random, with probability `ratio`, and scales the others by 1 / (1 - ratio).

    The mask says which were kept. With `is_test` Y = X and the mask, where one is asked for, is all True. Raises
    ValueError for one output without `is_test`. The same random_seed drops the same elements as Caffe2's CPU operator.
    Caffe2: operators/dropout_op.
    """

    contract = "X: float -> Y: X, mask?: bool[?]"
    docs = {
        "X": "any tensor",
        "Y": "X with elements dropped",
        "mask": "True where an element was kept; has the shape of X",
    }
    inplace = ((0, 0),)
    is_test: bool = Arg(doc="pass everything through unchanged")

    _generator: Generator | None = None

    def infer(self, X: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
        if not self.is_test and self.n_outputs < 2:
            raise ValueError("mask: is missing, wants a second output for the mask where is_test = 0")
        return X, TensorSpec(X.shape, np.bool_)

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        if int(g.def_.args.get("is_test", 0)):
            return [g.op("DropoutGrad", [g.GO(0)], [g.GI(0)])]
        return [g.op("DropoutGrad", [g.GO(0), g.O(1)], [g.GI(0)])]

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, Y, *mask = inputs[0], *outputs

        def test() -> None:
            for all_kept in mask:
                all_kept[...] = True
            if Y is not X:
                np.copyto(Y, X)

        def train() -> None:
            if self._generator is None:
                self._generator = generator_of(self)
            kept = self._generator.bernoulli(X.size, 1 - np.float32(self.ratio))
            np.copyto(mask[0], array_module(self.device).asarray(kept.reshape(X.shape)))
            self.keep(X, mask[0], Y)

        return test if self.is_test else train

    run_cuda = Settled.run_cpu


class DropoutGrad(Dropping):
    """Gradient of Dropout: dY scaled where the mask is True, 0 elsewhere; dY itself with `is_test`.

    Raises ValueError where the mask is missing or has another number of elements. Caffe2: operators/dropout_op.
    """

    contract = "dY: float, mask?: bool -> dX: dY"
    docs = {"dY": "gradient of the output", "mask": "the mask that Dropout wrote", "dX": "gradient of X"}
    inplace = ((0, 0),)

    def infer(self, dY: TensorSpec, mask: TensorSpec | None = None) -> TensorSpec:
        if not self.is_test:
            if mask is None:
                raise ValueError("mask: is missing, wants it as second input where is_test = 0")
            if differ(mask.size, dY.size):
                raise ValueError(f"mask: has {mask.size} elements, dY has {dY.size}")
        return dY

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        dY, *mask = inputs
        if not self.is_test:
            return partial(self.keep, dY, mask[0].reshape(dY.shape), outputs[0])
        return partial(np.copyto, outputs[0], dY)

    run_cuda = Settled.run_cpu
