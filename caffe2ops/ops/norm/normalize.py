"""Norms: Normalize and NormalizeL1 divide by them along an axis, LpNorm is one of a whole tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import canonical_axis, wants_same

SMALLEST_NORM = 1e-12  # a smaller norm counts as this


class AlongAxis(Operator):
    """Base: a norm along one axis."""

    axis: int = Arg(-1, doc="the axis along which the norm is taken")

    def infer(self, X: TensorSpec, dY: TensorSpec | None = None) -> TensorSpec:
        canonical_axis(self.axis, len(X.shape))
        if dY is not None:
            wants_same("X", X.shape, "dY", dY.shape)
        return X

    def norm(self, X: np.ndarray) -> Any:
        """The L2 norm along the axis, which is kept; not below SMALLEST_NORM."""
        norm = np.sqrt(np.add.reduce(np.square(X), axis=self.axis, keepdims=True))
        return np.maximum(norm, X.dtype.type(SMALLEST_NORM))


class Normalize(AlongAxis):
    """Divides by the L2 norm along an axis; a norm below 1e-12 counts as 1e-12.

    Raises ValueError where X has no such axis. Caffe2: operators/normalize_op.
    """

    contract = "X: float -> Y: X"
    docs = {"X": "any tensor of one axis at least", "Y": "X with norms 1 along the axis"}
    gradient = "NormalizeGradient(X, dY) -> dX"

    def run_cpu(self, X: np.ndarray) -> Any:
        self.infer(X)  # type: ignore[arg-type]
        return np.divide(X, self.norm(X), out=self.out(0, X.shape, X.dtype))

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.norm import normalize_cuda

        axis = canonical_axis(self.axis, X.ndim)
        return normalize_cuda.normalize(X, axis, 2, self.out(0, X.shape, X.dtype))


class NormalizeGradient(AlongAxis):
    """Gradient of Normalize: dX = dY / norm - X * (sum of X dY along the axis) / norm^3.

    Raises ValueError where dY is not like X. Caffe2: operators/normalize_op.
    """

    contract = "X: float, dY: X -> dX: X"

    def run_cpu(self, X: np.ndarray, dY: np.ndarray) -> Any:
        self.infer(X, dY)  # type: ignore[arg-type]
        norm = self.norm(X)
        unit = X / norm
        along = np.add.reduce(unit * dY, axis=self.axis, keepdims=True)
        return np.divide(dY - unit * along, norm, out=self.out(0, X.shape, X.dtype))

    def run_cuda(self, X: Any, dY: Any) -> Any:
        from caffe2ops.ops.norm import normalize_cuda

        self.infer(X, dY)
        axis = canonical_axis(self.axis, X.ndim)
        return normalize_cuda.gradient(X, dY, axis, self.out(0, X.shape, X.dtype))


class NormalizeL1(AlongAxis):
    """Divides by the sum of absolute values along an axis; where that is 0, so is the output.

    Raises ValueError where X has no such axis. Caffe2: operators/normalize_l1_op.
    """

    contract = "X: float -> Y: X"
    docs = {"X": "any tensor of one axis at least", "Y": "X with sums of absolute values 1 along the axis"}

    def run_cpu(self, X: np.ndarray) -> Any:
        self.infer(X)  # type: ignore[arg-type]
        norm = np.add.reduce(np.abs(X), axis=self.axis, keepdims=True)
        return np.divide(X, norm + (norm == 0), out=self.out(0, X.shape, X.dtype))

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.norm import normalize_cuda

        axis = canonical_axis(self.axis, X.ndim)
        return normalize_cuda.normalize(X, axis, 1, self.out(0, X.shape, X.dtype))


class WholeNorm(Operator):
    """Base of LpNorm and its gradient."""

    p: int = Arg(2, choices=(1, 2), doc="1 for the sum of absolute values, 2 for the sum of squares")
    average: bool = Arg(False, doc="divide by the number of elements")

    def divisor(self, X: np.ndarray) -> Any:
        return X.dtype.type(max(X.size, 1) if self.average else 1)


class LpNorm(WholeNorm):
    """The sum of absolute values (p = 1) or of squares (p = 2; no root is taken) of all elements; 0 for none.

    Caffe2: operators/lpnorm_op.
    """

    contract = "X: float -> Z: X[1]"
    docs = {"X": "any tensor", "Z": "the norm, or with `average` that divided by the number of elements"}
    gradient = "LpNormGradient(X, dZ) -> dX"

    def run_cpu(self, X: np.ndarray) -> Any:
        Z = self.out(0, (1,), X.dtype)
        Z[0] = np.add.reduce((np.abs if self.p == 1 else np.square)(X), axis=None) / self.divisor(X)
        return Z

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.norm import normalize_cuda

        return normalize_cuda.whole_norm(X, self.p, float(self.divisor(X)), self.out(0, (1,), X.dtype))


class LpNormGradient(WholeNorm):
    """Gradient of LpNorm: the sign of X (p = 1) or 2 X (p = 2), times dZ.

    Raises ValueError where the gradient is not one number. Caffe2: operators/lpnorm_op.
    """

    contract = "X: float, dout: X -> dx: X"

    def run_cpu(self, X: np.ndarray, dout: np.ndarray) -> Any:
        self._wants_one(dout)
        factor = dout.reshape(()) * X.dtype.type(self.p) / self.divisor(X)
        return np.multiply(np.sign(X) if self.p == 1 else X, factor, out=self.out(0, X.shape, X.dtype))

    def run_cuda(self, X: Any, dout: Any) -> Any:
        from caffe2ops.ops.norm import normalize_cuda

        self._wants_one(dout)
        dx = self.out(0, X.shape, X.dtype)
        return normalize_cuda.whole_gradient(X, dout, self.p, float(self.divisor(X)), dx)

    @staticmethod
    def _wants_one(dout: Any) -> None:
        if dout.size != 1:
            raise ValueError(f"dout: has {dout.size} elements, wants 1")
