"""FC and FCTransposed, the fully connected layers, with their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.elementwise.broadcast import SUM
from caffe2ops.ops.shape.axes import Shape, canonical_axis, differ, flat2d, known, show


class FullyConnected(Operator):
    """Base: sizes of Y = X W^T + b, X as a matrix [M, K], W as [N, K], or [K, N] where `transposed`."""

    transposed: ClassVar[bool] = False
    axis: int = Arg(1, doc="dims of X from this one on are joined to K, those before to M")
    axis_w: int = Arg(1, doc="as axis, for W")
    float16_compute: bool = Arg(False, doc="accumulate float16 in float16; taken and ignored")

    def _sizes(self, x: Shape, w: Shape) -> tuple[Any, Any, Any]:
        (m, k), (n, k_w) = flat2d(x, self.axis), flat2d(w, self.axis_w, "axis_w")
        if self.transposed:
            n, k_w = k_w, n
        if differ(k, k_w):
            raise ValueError(
                f"W: shape {show(w)} is {show((k_w, n) if self.transposed else (n, k_w))} (axis_w = {self.axis_w}), "
                f"wants K = {k} as X has, with shape {show(x)} and axis = {self.axis}"
            )
        return m, n, k if known(k) else k_w

    def _y_shape(self, x: Shape, w: Shape, b: Shape) -> Shape:
        n = self._sizes(x, w)[1]
        if differ(b[0], n):
            raise ValueError(f"b: shape is {show(b)}, wants [{n}] as W has rows, with shape {show(w)}")
        return (*x[: canonical_axis(self.axis, len(x))], n)

    def _check_dy(self, dy: Any, m: Any, n: Any) -> None:
        if differ(dy.size, m * n):
            raise ValueError(f"dY: shape is {show(dy.shape)}, wants {m} x {n} elements")


class FC(FullyConnected):
    """Y = X W^T + b: a fully connected layer over X as a matrix, its dims from `axis` on joined.

    Y has X's dims before `axis`, and N. Raises ValueError where W or b don't fit. Caffe2: operators/fully_connected_op.
    """

    contract = "X: float, W: X, b: X[N] -> Y: X[?]"
    docs = {
        "X": "as a matrix [M, K]",
        "W": "weights, as a matrix [N, K]",
        "b": "bias",
        "Y": "the dims of X before axis, then N",
    }
    gradient = "FCGradient(X, W, dY) -> dW, db, dX"

    def infer(self, x: TensorSpec, w: TensorSpec, b: TensorSpec) -> TensorSpec:
        return TensorSpec(self._y_shape(x.shape, w.shape, b.shape), x.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        m, n, k = self._sizes(inputs[0].shape, inputs[1].shape)
        moved = super().cost(inputs, outputs)
        return Cost(2 * m * n * k + m * n, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Any:
        y = self.out(0, self._y_shape(x.shape, w.shape, b.shape), x.dtype)
        self.bind((x, w, b), (y,))()
        return y

    def run_cuda(self, x: Any, w: Any, b: Any) -> Any:
        import cupy

        y = self.out(0, self._y_shape(x.shape, w.shape, b.shape), x.dtype)
        m, n, k = self._sizes(x.shape, w.shape)
        matrix = y.reshape(m, n)
        cupy.matmul(x.reshape(m, k), w.reshape(k, n) if self.transposed else w.reshape(n, k).T, out=matrix)
        cupy.add(matrix, b, out=matrix)
        return y

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[[], Any]:
        (x, w, b), y = inputs, outputs[0]
        m, n, k = self._sizes(x.shape, w.shape)
        return _product(x.reshape(m, k), w.reshape(k, n).T if self.transposed else w.reshape(n, k), b, y.reshape(m, n))


def _product(x: np.ndarray, w: np.ndarray, b: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """A step that computes y = x w.T + b.

    BLAS is slow at a few rows times a transposed matrix, so there Y^T = W X^T is computed and turned over.
    """
    if 1 < len(x) < len(w) and w.flags.c_contiguous:
        turned = np.empty((len(w), len(x)), x.dtype)

        def step() -> None:
            np.matmul(w, x.T, out=turned)
            np.add(turned.T, b, out=y)

    else:

        def step() -> None:
            np.matmul(x, w.T, out=y)
            np.add(y, b, out=y)

    return step


class FCGradient(FullyConnected):
    """The gradients of FC: dW = dY^T X, db = the sum of dY's rows, and, where asked for, dX = dY W."""

    contract = "X: float, W: X, dY: X -> dW: W, db: X[?], dX?: X"
    docs = {
        "X": "input of FC",
        "W": "weights of FC",
        "dY": "gradient of Y",
        "dW": "gradient of W",
        "db": "gradient of b",
    }

    def infer(self, x: TensorSpec, w: TensorSpec, dy: TensorSpec) -> tuple[TensorSpec, ...]:
        m, n, _ = self._sizes(x.shape, w.shape)
        if dy.has_rank:
            self._check_dy(dy, m, n)
        return w, TensorSpec((n,), x.dtype), x

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        m, n, k = self._sizes(inputs[0].shape, inputs[1].shape)
        moved = super().cost(inputs, outputs)
        return Cost(2 * m * n * k * (len(outputs) - 1) + m * n, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> Any:
        m, n, k = self._sizes(x.shape, w.shape)
        self._check_dy(dy, m, n)
        dw, db = self.out(0, w.shape, x.dtype), self.out(1, (n,), x.dtype)
        x2, dy2 = x.reshape(m, k), dy.reshape(m, n)
        left, right = (x2, dy2) if self.transposed else (dy2, x2)
        np.matmul(left.T, right, out=dw.reshape(left.shape[1], right.shape[1]))
        if self.device == "cpu":
            np.add.reduce(dy2, axis=0, out=db)
        else:
            SUM(dy2, db, axes=(0,))
        if self.n_outputs == 2:
            return dw, db
        dx = self.out(2, x.shape, x.dtype)
        np.matmul(dy2, w.reshape(k, n).T if self.transposed else w.reshape(n, k), out=dx.reshape(m, k))
        return dw, db, dx

    run_cuda = run_cpu


class FCTransposed(FC):
    """Y = X W + b: FC with the weights stored the other way round, as a matrix [K, N].

    Caffe2: operators/fully_connected_op.
    """

    contract = FC.contract
    docs = {**FC.docs, "W": "weights, as a matrix [K, N]"}
    gradient = "FCTransposedGradient(X, W, dY) -> dW, db, dX"
    transposed = True


class FCTransposedGradient(FCGradient):
    """The gradients of FCTransposed: dW = X^T dY, db = the sum of dY's rows, and, where asked for, dX = dY W^T."""

    contract = FCGradient.contract
    docs = {name: text.replace("FC", "FCTransposed") for name, text in FCGradient.docs.items()}
    transposed = True
