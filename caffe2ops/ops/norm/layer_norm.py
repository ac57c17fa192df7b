"""Normalisation of what lies behind an axis: LayerNorm, RMSNorm, and their gradients."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.reduce.sums import squares_over, sum_over
from caffe2ops.ops.shape.axes import Shape, canonical_axis, differ, flat2d


class OfRows(Operator):
    """Base: X as a matrix whose rows are what lies from `axis` on."""

    axis: int = Arg(1, doc="the first axis of what is normalised together")

    def _rows(self, X: Any, **parameters: Any) -> tuple[Any, Any]:
        """The sizes of the matrix. Raises ValueError for a parameter that has not one number for each column."""
        count, length = flat2d(X.shape, self.axis)
        for name, value in parameters.items():
            if value is not None and differ(value.size, length):
                raise ValueError(
                    f"{name}: has {value.size} elements, wants {length}, as X has from axis {self.axis} on"
                )
        return count, length

    def _leading(self, X: Any) -> Shape:
        return tuple(X.shape[: canonical_axis(self.axis, len(X.shape))])

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(8 * inputs[0].size, moved.bytes_read, moved.bytes_written)


def mean_of(x: np.ndarray, axes: tuple[int, ...] = (1,)) -> Any:
    """The mean along axes, which are kept; 0 where there is nothing."""
    return sum_over(x, axes) / _count(x, axes)


def mean_square(x: np.ndarray, axes: tuple[int, ...] = (1,), centre: np.ndarray | None = None) -> Any:
    """The mean of squares, or of those of distances to a centre, along axes, which are kept."""
    return squares_over(x, axes, centre) / _count(x, axes)


def _count(x: np.ndarray, axes: tuple[int, ...]) -> Any:
    return x.dtype.type(max(prod(x.shape[axis] for axis in axes), 1))


def parameter_gradients(op: Operator, first: int, dy: np.ndarray, xhat: np.ndarray, shape: Shape) -> tuple[Any, Any]:
    """Gradients of gamma and beta, as outputs `first` and the next, from rows of dY and of normalised X."""
    dgamma, dbeta = (op.out(first + i, shape, dy.dtype) for i in (0, 1))
    np.add.reduce(dy * xhat, axis=0, out=dgamma.reshape(-1))
    np.add.reduce(dy, axis=0, out=dbeta.reshape(-1))
    return dgamma, dbeta


class LayerNorm(OfRows):
    """Normalises every row to mean 0 and variance 1; a row is what lies behind the axes before `axis`.

    output = (input - mean) / stddev, stddev = sqrt(variance + epsilon); with `elementwise_affine` times gamma plus beta
    then. Raises ValueError where gamma or beta have not one number for each element of a row, or are missing. Caffe2:
    operators/layer_norm_op.
    """

    contract = "input: float, gamma?: input, beta?: input -> output: input, mean: input[?], stddev: input[?]"
    docs = {
        "input": "any tensor",
        "gamma": "factors, one for each element of a row; read with elementwise_affine only",
        "beta": "numbers to add, one for each element of a row; read with elementwise_affine only",
        "output": "input normalised",
        "mean": "mean of each row, shape input.shape[:axis] + [1]",
        "stddev": "square root of variance + epsilon of each row, shape input.shape[:axis] + [1]",
    }
    arity = ((1, 3), (3, 3))
    epsilon: float = Arg(1e-5, ge=0, doc="added to the variance")
    elementwise_affine: bool = Arg(False, doc="whether gamma and beta scale and shift the normalised rows")

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        inputs, outputs = [g.GO(0), g.O(0), g.O(1), g.O(2), g.I(0)], [g.GI(0)]
        if int(g.def_.args.get("elementwise_affine", 0)):
            inputs, outputs = [*inputs, g.I(1)], [*outputs, g.GI(1), g.GI(2)]
        return [g.op("LayerNormGradient", inputs, outputs)]

    def infer(self, X: Any, gamma: Any = None, beta: Any = None) -> Any:
        if self.elementwise_affine:
            if gamma is None:
                raise ValueError("gamma: is missing, wants gamma and beta with elementwise_affine")
            self._rows(X, gamma=gamma, beta=beta)
        moments = TensorSpec((*self._leading(X), 1), X.dtype)
        return TensorSpec(X.shape, X.dtype), moments, moments

    def run_cpu(self, X: np.ndarray, gamma: np.ndarray | None = None, beta: np.ndarray | None = None) -> Any:
        specs = self.infer(X, gamma, beta)
        output, mean, stddev = (self.out(i, spec.shape, X.dtype) for i, spec in enumerate(specs))
        x, y = (a.reshape(self._rows(X)) for a in (X, output))
        mu, sigma = (a.reshape(-1, 1) for a in (mean, stddev))
        mu[...] = mean_of(x)
        np.subtract(x, mu, out=y)
        np.sqrt(mean_square(y) + X.dtype.type(self.epsilon), out=sigma)
        y /= sigma
        if self.elementwise_affine:
            assert gamma is not None
            assert beta is not None
            y *= gamma.reshape(-1)
            y += beta.reshape(-1)
        return output, mean, stddev

    def run_cuda(self, X: Any, gamma: Any = None, beta: Any = None) -> Any:
        from caffe2ops.ops.norm import moments_cuda as cuda

        output, mean, stddev = (self.out(i, spec.shape, X.dtype) for i, spec in enumerate(self.infer(X, gamma, beta)))
        rows = self._rows(X)
        x, y, column = cuda.as_rows(X, rows), cuda.as_rows(output, rows), (rows[0], 1, 1, 1)
        mu, variance = cuda.moments(x)
        mean[...] = mu.reshape(mean.shape)
        sigma = cuda.STDDEV(variance, out=stddev.reshape(column), epsilon=self.epsilon)
        if not self.elementwise_affine:
            gamma = beta = None
        scale, shift = cuda.parameter(gamma, 1, X.dtype), cuda.parameter(beta, 0, X.dtype)
        cuda.apply(x, mu, cuda.INVERSE(sigma, out=variance), scale, shift, y)
        return output, mean, stddev


class LayerNormGradient(OfRows):
    """Gradient of LayerNorm: with g = dY gamma, dX = (g - mean g - X' mean(g X')) / stddev, X' being X normalised.

    Raises ValueError where shapes do not fit. Caffe2: operators/layer_norm_op.
    """

    contract = """dY: float, Y: dY, mean: dY, sigma: dY, X: dY, gamma?: dY -> dX: X, dgamma?: gamma, dbeta?: gamma"""
    arity = ((5, 1), (6, 3))
    elementwise_affine: bool = Arg(False, doc="whether gamma scales the normalised rows")

    def infer(self, dY: Any, Y: Any, mean: Any, sigma: Any, X: Any, gamma: Any = None) -> Any:
        count, _ = self._rows(X, gamma=gamma)
        for name, value, wanted in (("dY", dY, X.size), ("mean", mean, count), ("sigma", sigma, count)):
            if differ(value.size, wanted):
                raise ValueError(f"{name}: has {value.size} elements, wants {wanted}")
        if self.elementwise_affine and gamma is None:
            raise ValueError("gamma: is missing, wants it with elementwise_affine")
        dgamma = TensorSpec(None if gamma is None else gamma.shape, X.dtype)
        return TensorSpec(X.shape, X.dtype), dgamma, dgamma

    def run_cpu(self, dY: Any, Y: Any, mean: Any, sigma: Any, X: Any, gamma: Any = None) -> Any:
        self.infer(dY, Y, mean, sigma, X, gamma)
        dX = self.out(0, X.shape, X.dtype)
        x, dy, dx = (a.reshape(self._rows(X)) for a in (X, dY, dX))
        stddev = sigma.reshape(-1, 1)
        xhat = (x - mean.reshape(-1, 1)) / stddev
        g = dy if gamma is None else dy * gamma.reshape(-1)
        dx[...] = (g - mean_of(g) - xhat * mean_of(g * xhat)) / stddev
        if gamma is None:
            return dX
        return dX, *parameter_gradients(self, 1, dy, xhat, gamma.shape)

    def run_cuda(self, dY: Any, Y: Any, mean: Any, sigma: Any, X: Any, gamma: Any = None) -> Any:
        import cupy

        from caffe2ops.ops.norm import moments_cuda as cuda

        self.infer(dY, Y, mean, sigma, X, gamma)
        rows = self._rows(X)
        column, dX = (rows[0], 1, 1, 1), self.out(0, X.shape, X.dtype)
        rstd = cuda.INVERSE(sigma.reshape(column), out=cupy.empty(column, X.dtype))
        dgamma, dbeta = (None if gamma is None else self.out(i, gamma.shape, X.dtype) for i in (1, 2))
        dy, x, dx = (cuda.as_rows(a, rows) for a in (dY, X, dX))
        cuda.backward(dy, x, mean.reshape(column), rstd, cuda.parameter(gamma, 1, X.dtype), dx, dgamma, dbeta)
        return dX if gamma is None else (dX, dgamma, dbeta)


class RMSNorm(OfRows):
    """Divides every row by its root mean square, then scales and shifts it: output = input * rrms * gamma + beta.

    rrms = 1 / sqrt(mean of squares + eps). Raises ValueError where gamma or beta have not one number for each
    element of a row. Caffe2: operators/rms_norm_op.
    """

    contract = "input: float, gamma: input, beta: input -> output: input, rrms: input[?]"
    docs = {
        "input": "any tensor",
        "gamma": "factors, one for each element of a row",
        "beta": "numbers to add, one for each element of a row",
        "output": "input normalised",
        "rrms": "one over the root mean square of each row, shape input.shape[:axis]",
    }
    gradient = "RMSNormGradient(doutput, input, gamma, rrms) -> dinput, dgamma, dbeta"
    eps: float = Arg(0.0, ge=0, doc="added to the mean of squares")
    epsilon: float = Arg(0.0, doc="the name in Caffe2's documentation; neither Caffe2 nor caffe2ops reads it")

    def infer(self, X: Any, gamma: Any, beta: Any) -> Any:
        self._rows(X, gamma=gamma, beta=beta)
        return TensorSpec(X.shape, X.dtype), TensorSpec(self._leading(X), X.dtype)

    def run_cpu(self, X: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> Any:
        output, rrms = (self.out(i, spec.shape, X.dtype) for i, spec in enumerate(self.infer(X, gamma, beta)))
        x, y = (a.reshape(self._rows(X)) for a in (X, output))
        rrms.reshape(-1, 1)[...] = 1 / np.sqrt(mean_square(x) + X.dtype.type(self.eps))
        np.multiply(x, rrms.reshape(-1, 1), out=y)
        y *= gamma.reshape(-1)
        y += beta.reshape(-1)
        return output, rrms

    def run_cuda(self, X: Any, gamma: Any, beta: Any) -> Any:
        from caffe2ops.ops.norm import moments_cuda as cuda

        output, rrms = (self.out(i, spec.shape, X.dtype) for i, spec in enumerate(self.infer(X, gamma, beta)))
        rows = self._rows(X)
        x, column, dtype = cuda.as_rows(X, rows), (rows[0], 1, 1, 1), X.dtype
        scale = cuda.RSTD(cuda.mean_square(x), out=rrms.reshape(column), epsilon=self.eps)
        parameters = cuda.parameter(gamma, 1, dtype), cuda.parameter(beta, 0, dtype)
        cuda.apply(x, cuda.parameter(None, 0, dtype), scale, *parameters, cuda.as_rows(output, rows))
        return output, rrms


class RMSNormGradient(OfRows):
    """Gradient of RMSNorm: with g = dY gamma and X' = X rrms, dX = rrms (g - X' mean(g X')).

    Raises ValueError where shapes do not fit. Caffe2: operators/rms_norm_op.
    """

    contract = "dY: float, X: dY, gamma: dY, rrms: dY -> dX: X, dgamma: gamma, dbeta: gamma"

    def infer(self, dY: Any, X: Any, gamma: Any, rrms: Any) -> Any:
        count, _ = self._rows(X, gamma=gamma)
        for name, value, wanted in (("dY", dY, X.size), ("rrms", rrms, count)):
            if differ(value.size, wanted):
                raise ValueError(f"{name}: has {value.size} elements, wants {wanted}")
        return tuple(TensorSpec(a.shape, X.dtype) for a in (X, gamma, gamma))

    def run_cpu(self, dY: np.ndarray, X: np.ndarray, gamma: np.ndarray, rrms: np.ndarray) -> Any:
        self.infer(dY, X, gamma, rrms)
        dX = self.out(0, X.shape, X.dtype)
        x, dy, dx = (a.reshape(self._rows(X)) for a in (X, dY, dX))
        scale = rrms.reshape(-1, 1)
        xhat = x * scale
        g = dy * gamma.reshape(-1)
        dx[...] = (g - xhat * mean_of(g * xhat)) * scale
        return dX, *parameter_gradients(self, 1, dy, xhat, gamma.shape)

    def run_cuda(self, dY: Any, X: Any, gamma: Any, rrms: Any) -> Any:
        from caffe2ops.ops.norm import moments_cuda as cuda

        self.infer(dY, X, gamma, rrms)
        rows = self._rows(X)
        dX, *outs = (self.out(i, a.shape, X.dtype) for i, a in enumerate((X, gamma, gamma)))
        dy, x, dx = (cuda.as_rows(a, rows) for a in (dY, X, dX))
        nothing, scale = cuda.parameter(None, 0, X.dtype), rrms.reshape(rows[0], 1, 1, 1)
        cuda.backward(dy, x, nothing, scale, cuda.parameter(gamma, 1, X.dtype), dx, *outs, centred=False)
        return dX, *outs
