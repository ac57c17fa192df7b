"""Batch normalisation of images, for training and for test, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.shape.axes import differ

BLOCK = 65536  # elements worked on at a time


class BatchNormalization(Image):
    """Base of SpatialBN and its gradient."""

    epsilon: float = Arg(1e-5, gt=0, doc="added to the variance")
    momentum: float = Arg(0.9, ge=0, le=1, doc="how much of the running mean and variance stays at each step")
    num_batches: int = Arg(
        1, ge=1, doc="how many batches the statistics are of; more than 1 wants their sums as inputs"
    )

    def channels_of(self, X: Any, **parameters: Any) -> Any:
        """The number of channels. Raises ValueError for a parameter that has not one number for each."""
        channels = self.split("X", X.shape)[1]
        for name, value in parameters.items():
            if value is not None and differ(value.size, channels):
                raise ValueError(f"{name}: has {value.size} elements, X has {channels} channels")
        return channels

    def blocks(self, *images: np.ndarray) -> Iterator[tuple[Any, list[np.ndarray]]]:
        """Parts of images, and where to take what belongs to them from vectors [C]."""
        for planes in zip(*map(self.planes, images)):
            rows = max(1, BLOCK // max(1, planes[0].shape[-1]))
            for first in range(0, len(planes[0]), rows):
                part = slice(first, first + rows)
                yield (slice(None) if self.channels_last else (part, None)), [plane[part] for plane in planes]

    def add_total(self, block: np.ndarray, total: np.ndarray, at: Any) -> None:
        """Adds the sum of a block over its positions to the totals [C]."""
        if self.channels_last:
            total += np.ones(len(block), block.dtype) @ block
        else:
            total[at[0]] += block @ np.ones(block.shape[-1], block.dtype)


class SpatialBN(BatchNormalization):
    """Normalises every channel to mean 0 and variance 1 over batch and positions, then scales and shifts it.

    With `is_test` by the given mean and variance. Else by those of the batch, which the running mean and variance move
    towards: running = momentum * running + (1 - momentum) * batch, the variance of the batch being the unbiased one
    there. Those of the batch come out too (saved_var as 1 / sqrt(variance + epsilon)). A running mean or variance of
    another size counts as zeros. With num_batches > 1 they are computed from `sums` and `sumsq`. Raises ValueError for
    a parameter that does not fit the channels. Caffe2: operators/spatial_batch_norm_op.
    """

    contract = """X: float, scale: X, bias: X, mean: X, var: X, sums?: X, sumsq?: X
        -> Y: X, mean?: X[?], var?: X[?], saved_mean?: X[?], saved_var?: X[?]"""
    docs = {
        "X": "images, in the order that `order` names, or a matrix [N, C]",
        "scale": "one factor for each channel",
        "bias": "one number to add for each channel",
        "mean": "the running mean of each channel; updated in place in training",
        "var": "the running variance of each channel; updated in place in training",
        "sums": "sum of X over all batches, for each channel (num_batches > 1)",
        "sumsq": "sum of X^2 over all batches, for each channel (num_batches > 1)",
        "Y": "X normalised",
        "saved_mean": "mean of the batch, for the gradient",
        "saved_var": "1 / sqrt(variance of the batch + epsilon), for the gradient",
    }
    arity = ((5, 1), (5, 5), (7, 1), (7, 5))
    inplace = ((0, 0), (5, 3), (6, 4))
    inplace_enforced = ((3, 1), (4, 2))
    is_test: bool = Arg(doc="normalise by the given mean and variance, not by those of the batch")

    def infer(self, X: TensorSpec, *parameters: TensorSpec) -> tuple[TensorSpec, ...]:
        channels = self._check(X, *parameters)
        return (TensorSpec(X.shape, X.dtype), *(TensorSpec((channels,), X.dtype) for _ in range(4)))

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        flops = (2 if self.is_test else 6) * inputs[0].size
        return Cost(flops, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        if int(g.def_.args.get("is_test", 0)):
            saved = [g.I(3), g.I(4)]
        elif int(g.def_.args.get("num_batches", 1)) > 1:
            saved = [g.O(3), g.O(4), g.GI(1), g.GI(2)]
        else:
            saved = [g.O(3), g.O(4)]
        return [g.op("SpatialBNGradient", [g.I(0), g.I(1), g.GO(0), *saved], [g.GI(0), g.GI(1), g.GI(2)])]

    def _check(self, X: Any, scale: Any, bias: Any, mean: Any, var: Any, sums: Any = None, sumsq: Any = None) -> Any:
        wanted = 1 if self.is_test else 5
        if self.n_outputs != wanted:
            raise ValueError(f"{self.n_outputs} outputs with is_test = {int(self.is_test)}, wants {wanted}")
        if self.num_batches > 1 and not self.is_test and sums is None:
            raise ValueError(f"sums: is missing, wants sums and sumsq with num_batches = {self.num_batches}")
        tested = dict(mean=mean, var=var) if self.is_test else dict(sums=sums, sumsq=sumsq)
        return self.channels_of(X, scale=scale, bias=bias, **tested)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step | None:
        X, Y = inputs[0], outputs[0]
        if any(out.shape != inputs[1].reshape(-1).shape for out in outputs[1:]):
            return None  # running values not begun yet take other arrays
        scale, bias, mean, var, *sums = (parameter.reshape(-1) for parameter in inputs[1:])
        blocks = list(self.blocks(X, Y))
        epsilon = X.dtype.type(self.epsilon)

        def test() -> None:
            factor = scale / np.sqrt(var + epsilon)
            self._affine(blocks, factor, bias - factor * mean)

        def train() -> None:
            running_mean, running_var, batch, rstd = outputs[1:]
            _take_over(mean, running_mean)
            _take_over(var, running_var)
            if len(X) == 0:
                batch[...] = rstd[...] = 0
                return
            count = self.num_batches * (X.size // len(batch))
            variance = self._moments(X, batch, sums, count)
            unbiased = variance * X.dtype.type(count / (count - 1) if count > 1 else np.inf)
            for running, new in ((running_mean, batch), (running_var, unbiased)):
                running *= X.dtype.type(self.momentum)
                running += X.dtype.type(1 - self.momentum) * new
            np.divide(1, np.sqrt(variance + epsilon), out=rstd)
            factor = scale * rstd
            self._affine(blocks, factor, bias - factor * batch)

        return test if self.is_test else train

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.norm import spatial_bn_cuda

        X, scale, bias, mean, var, *sums = inputs
        specs = self.infer(*inputs)
        outputs = tuple(self.out(i, spec.shape, X.dtype) for i, spec in enumerate(specs[: self.n_outputs]))
        if self.is_test:
            return spatial_bn_cuda.test(self, X, scale, bias, mean, var, outputs[0])
        spatial_bn_cuda.train(self, X, scale, bias, (mean, var), sums, outputs)
        return outputs

    @staticmethod
    def _affine(blocks: list[Any], factor: np.ndarray, offset: np.ndarray) -> None:
        for at, (x, y) in blocks:
            np.multiply(x, factor[at], out=y)
            y += offset[at]

    def _moments(self, X: np.ndarray, mean: np.ndarray, sums: Sequence[np.ndarray], count: int) -> np.ndarray:
        """Writes the mean of each channel, gives the variance."""
        if self.num_batches > 1:
            np.divide(sums[0], X.dtype.type(count), out=mean)
            return sums[1] / X.dtype.type(count) - mean * mean
        mean[...] = 0
        for at, (x,) in self.blocks(X):
            self.add_total(x, mean, at)
        mean /= X.dtype.type(count)
        variance = np.zeros_like(mean)
        for at, (x,) in self.blocks(X):
            centred = x - mean[at]
            centred *= centred
            self.add_total(centred, variance, at)
        variance /= X.dtype.type(count)
        return variance


def _take_over(old: np.ndarray, running: np.ndarray) -> None:
    """Brings the old running values to where they are updated: zeros where they are of another size."""
    if old.size != running.size:
        running[...] = 0
    else:
        np.copyto(running, old)


class SpatialBNGradient(BatchNormalization):
    """Gradients of SpatialBN: of X, of the scale and of the bias.

    Of a forward pass with `is_test` mean and var are what that one was given, and X has no part in them (Caffe2 takes
    var for the saved inverse deviation there). With num_batches > 1 the sums of the gradients of scale and bias over
    all batches come in, and their means go out. Raises ValueError for a parameter that does not fit the channels.
    Caffe2: operators/spatial_batch_norm_gradient_op.
    """

    contract = """X: float[...], scale: X, dY: X[...], mean: X, var: X, dscale_sum?: X, dbias_sum?: X
        -> dX: X, dscale: scale, dbias: scale"""
    docs = {
        "X": "the images that went in",
        "scale": "the factors",
        "dY": "gradient of the output",
        "mean": "saved_mean of SpatialBN, or its mean with is_test",
        "var": "saved_var of SpatialBN, or its var with is_test",
        "dscale_sum": "gradient of scale added up over all batches (num_batches > 1)",
        "dbias_sum": "gradient of bias added up over all batches (num_batches > 1)",
        "dX": "gradient of X",
        "dscale": "gradient of scale",
        "dbias": "gradient of bias",
    }
    arity = ((5, 3), (7, 3))
    inplace = ((5, 1), (6, 2))
    is_test: bool = Arg(False, doc="whether the forward pass normalised by the given mean and variance")

    def infer(self, X: TensorSpec, scale: TensorSpec, dY: TensorSpec, *rest: TensorSpec) -> tuple[TensorSpec, ...]:
        mean, var, *sums = rest
        if self._aggregated and not sums:
            raise ValueError(f"dscale_sum: is missing, wants both sums with num_batches = {self.num_batches}")
        self.channels_of(X, scale=scale, mean=mean, var=var, **dict(zip(("dscale_sum", "dbias_sum"), sums)))
        return tuple(TensorSpec(spec.shape, X.dtype) for spec in (X, scale, scale))

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return Cost(9 * inputs[0].size, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    @property
    def _aggregated(self) -> bool:
        return self.num_batches > 1 and not self.is_test

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, dY, dX = inputs[0], inputs[2], outputs[0]
        scale, mean, saved, *sums = (inputs[i].reshape(-1) for i in (1, *range(3, len(inputs))))
        dscale, dbias = (output.reshape(-1) for output in outputs[1:])
        blocks = list(self.blocks(X, dY, dX))
        count = X.dtype.type(X.size // len(scale))

        def run() -> None:
            rstd = 1 / np.sqrt(saved + X.dtype.type(self.epsilon)) if self.is_test else saved
            if self._aggregated and len(X):
                for out, total in zip((dscale, dbias), sums):
                    np.divide(total, X.dtype.type(self.num_batches), out=out)
            else:
                dscale[...] = dbias[...] = 0
                for at, (x, dy, _) in blocks:
                    self.add_total(dy, dbias, at)
                    self.add_total(dy * (x - mean[at]), dscale, at)
                np.multiply(dscale, rstd, out=dscale)
            alpha = scale * rstd
            for at, (_, dy, dx) in blocks:
                np.multiply(dy, alpha[at], out=dx)
            if self.is_test:
                return
            beta = -alpha * rstd * dscale / count
            gamma = -alpha * dbias / count - beta * mean
            for at, (x, _, dx) in blocks:
                dx += x * beta[at]
                dx += gamma[at]

        return run

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.norm import spatial_bn_cuda

        X, scale, dY, mean, saved, *sums = inputs
        outputs = tuple(self.out(i, spec.shape, X.dtype) for i, spec in enumerate(self.infer(*inputs)))
        spatial_bn_cuda.backward(self, X, scale, dY, mean, saved, sums if self._aggregated else (), outputs)
        return outputs
