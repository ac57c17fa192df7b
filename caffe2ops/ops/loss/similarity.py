"""CosineSimilarity, L1Distance and DotProductWithPadding of rows, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientMaker
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.linalg.dot_product import as_rows
from caffe2ops.ops.shape.axes import show, wants_same

SMALLEST = 1e-12  # squared norms below it count as it; differences up to it have no sign
DOCS = {"X": "[N, ...], or a number", "Y": "a tensor like X", "Z": "[N]", "dZ": "gradient of Z"}


class OfRows(Operator):
    """Base: a number for each pair of rows of tensors of one shape."""

    docs = DOCS

    def infer(self, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        wants_same("X", x.shape, "Y", y.shape)
        return TensorSpec(x.shape[:1] or (1,), x.dtype)


class OfRowsGradient(Operator):
    """Base: gradients of X and Y."""

    docs = DOCS

    def rows(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X and Y as matrices, dZ as a column."""
        wants_same("X", x.shape, "Y", y.shape)
        a, b = as_rows(x), as_rows(y)
        if len(dz) != len(a):
            raise ValueError(f"dZ: has {len(dz)} elements, X has {len(a)} rows")
        return a, b, dz[:, None]


def _norms(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared norms of the rows of both, and their products."""
    aa, bb, ab = (np.einsum("nd,nd->n", *pair)[:, None] for pair in ((a, a), (b, b), (a, b)))
    least = a.dtype.type(SMALLEST)
    return np.maximum(aa, least), np.maximum(bb, least), ab


class CosineSimilarity(OfRows):
    """Z[i] = X[i] . Y[i] / (|X[i]| |Y[i]|); squared norms below 1e-12 count as that. Caffe2: operators/distance_op."""

    contract = "X: float, Y: X -> Z: X[?]"
    gradient = "CosineSimilarityGradient(X, Y, dZ) -> dX, dY"

    def run_cpu(self, x: np.ndarray, y: np.ndarray) -> Any:
        wants_same("X", x.shape, "Y", y.shape)
        aa, bb, ab = _norms(as_rows(x), as_rows(y))
        return np.divide(ab, np.sqrt(aa * bb))[:, 0]

    def run_cuda(self, x: Any, y: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        wants_same("X", x.shape, "Y", y.shape)
        return similarity_cuda.cosine(as_rows(x), as_rows(y), self.out(0, x.shape[:1] or (1,), x.dtype))


class CosineSimilarityGradient(OfRowsGradient):
    """The gradients of CosineSimilarity: dX = dZ (Y / (|X| |Y|) - Z X / |X|^2), dY the other way round."""

    contract = "X: float, Y: X, dZ: X[N] -> dX: X, dY: X"

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> Any:
        a, b, dz = self.rows(x, y, dz)
        aa, bb, ab = _norms(a, b)
        scale = dz / np.sqrt(aa * bb)
        dx, dy = self.out(0, x.shape, x.dtype), self.out(1, y.shape, y.dtype)
        dx[...] = (scale * (b - ab / aa * a)).reshape(x.shape)
        dy[...] = (scale * (a - ab / bb * b)).reshape(y.shape)
        return dx, dy

    def run_cuda(self, x: Any, y: Any, dz: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        a, b, dz = self.rows(x, y, dz)
        outs = self.out(0, x.shape, x.dtype), self.out(1, y.shape, y.dtype)
        similarity_cuda.cosine_gradient(a, b, dz, *(out.reshape(a.shape) for out in outs))
        return outs


class L1Distance(OfRows):
    """Z[i] = the sum of |X[i] - Y[i]| over all other dims. Caffe2: operators/distance_op."""

    contract = "X: float, Y: X -> Z: X[?]"
    gradient = "L1DistanceGradient(X, Y, dZ) -> dX, dY"

    def run_cpu(self, x: np.ndarray, y: np.ndarray) -> Any:
        wants_same("X", x.shape, "Y", y.shape)
        away = abs(as_rows(np.asarray(x - y)))
        return away.sum(axis=1, out=self.out(0, (len(away),), x.dtype))

    def run_cuda(self, x: Any, y: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        wants_same("X", x.shape, "Y", y.shape)
        return similarity_cuda.l1(x, y, self.out(0, x.shape[:1] or (1,), x.dtype))


class L1DistanceGradient(OfRowsGradient):
    """The gradients of L1Distance: dX = dZ sign(X - Y), 0 where they are within 1e-12, and dY = -dX."""

    contract = "X: float, Y: X, dZ: X[N] -> dX: X, dY: X"

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> Any:
        a, b, dz = self.rows(x, y, dz)
        away = a - b
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = (dz * np.where(abs(away) > SMALLEST, np.sign(away), away * 0)).reshape(x.shape)
        return dx, np.negative(dx, out=self.out(1, y.shape, y.dtype))

    def run_cuda(self, x: Any, y: Any, dz: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        a, b, dz = self.rows(x, y, dz)
        outs = self.out(0, x.shape, x.dtype), self.out(1, y.shape, y.dtype)
        similarity_cuda.L1_BACK(a, b, dz, out=tuple(out.reshape(a.shape) for out in outs), smallest=SMALLEST)
        return outs


class Padded(Operator):
    """Base: rows of two widths, the narrower ones filled up with pad_value or repeated."""

    pad_value: float = Arg(0.0, doc="what the narrower one is filled up with")
    replicate: bool = Arg(False, doc="whether it is repeated instead; the widths must be multiples then")

    def pair(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X and Y as matrices. Raises ValueError where they do not go together."""
        if x.ndim != y.ndim or x.shape[:1] != y.shape[:1]:
            raise ValueError(f"Y: shape is {show(y.shape)}, wants as many dims and rows as X, {show(x.shape)}")
        a, b = as_rows(x), as_rows(y)
        narrow, wide = sorted((a.shape[1], b.shape[1]))
        if self.replicate and wide % max(narrow, 1):
            raise ValueError(f"Y: has {b.shape[1]} columns, X {a.shape[1]}: wants a multiple, as replicate = 1")
        return a, b

    def widened(self, rows: np.ndarray, width: int) -> np.ndarray:
        if rows.shape[1] == width:
            return rows
        if self.replicate:
            return np.tile(rows, width // max(rows.shape[1], 1))
        more = np.full((len(rows), width - rows.shape[1]), self.pad_value, rows.dtype)
        return np.concatenate([rows, more], axis=1)


class DotProductWithPadding(Padded):
    """Z[i] = X[i] . Y[i] of rows of two widths, the narrower ones filled up with pad_value or repeated.

    All dims but the first make up the width. Raises ValueError for other ranks or numbers of rows, and for widths that
    do not divide each other where replicate is set. Caffe2: operators/distance_op.
    """

    contract = "X: float, Y: X -> Z: X[?]"
    docs = {"X": "[N, ...], or a number", "Y": "as many dims and rows", "Z": "[N]: the products"}

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        args = {"pad_value": g.def_.args.get("pad_value", 0.0), "replicate": g.def_.args.get("replicate", 0)}
        inputs = [g.I(0), g.I(1), g.GO(0)]
        return [g.op("DotProductWithPaddingGradient", inputs, [g.GI(0), g.GI(1)], **args)]

    def infer(self, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        return TensorSpec(x.shape[:1] or (1,), x.dtype)

    def run_cpu(self, x: np.ndarray, y: np.ndarray) -> Any:
        a, b = self.pair(x, y)
        width = max(a.shape[1], b.shape[1])
        return np.einsum(
            "nd,nd->n", self.widened(a, width), self.widened(b, width), out=self.out(0, (len(a),), x.dtype)
        )

    def run_cuda(self, x: Any, y: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        a, b = self.pair(x, y)
        return similarity_cuda.padded_product(self, a, b, self.out(0, (len(a),), x.dtype))


class DotProductWithPaddingGradient(Padded):
    """The gradients of DotProductWithPadding: dX = dZ Y, cut or added up to the width of X, and dY likewise."""

    contract = "X: float, Y: X, dZ: X[N] -> dX: X, dY: Y"
    docs = {"X": "input of DotProductWithPadding", "Y": "the other input", "dZ": "gradient of Z"}

    def run_cpu(self, x: np.ndarray, y: np.ndarray, dz: np.ndarray) -> Any:
        a, b = self.pair(x, y)
        self._wants_rows(dz, a)
        width = max(a.shape[1], b.shape[1])
        found = []
        for i, (given, of, other) in enumerate(((x, a, b), (y, b, a))):
            gradient = dz[:, None] * self.widened(other, width)
            if self.replicate and of.size:
                gradient = gradient.reshape(len(of), width // of.shape[1], of.shape[1]).sum(axis=1)
            out = self.out(i, given.shape, given.dtype)
            out[...] = gradient[:, : of.shape[1]].reshape(given.shape)
            found.append(out)
        return found

    @staticmethod
    def _wants_rows(dz: Any, a: Any) -> None:
        if len(dz) != len(a):
            raise ValueError(f"dZ: has {len(dz)} elements, X has {len(a)} rows")

    def run_cuda(self, x: Any, y: Any, dz: Any) -> Any:
        from caffe2ops.ops.loss import similarity_cuda

        a, b = self.pair(x, y)
        self._wants_rows(dz, a)
        outs = self.out(0, x.shape, x.dtype), self.out(1, y.shape, y.dtype)
        for out, other in zip(outs, (b, a)):
            similarity_cuda.padded_gradient(self, other, dz, out)
        return outs
