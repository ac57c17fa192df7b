"""MatMul and BatchMatMul: products of two tensors of the net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import Shape, differ, flat2d, known, show, size

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class MatMul(Operator):
    """Y = A B, each as a matrix whose dims from axis_a (axis_b) on are joined, transposed where trans_a (trans_b)
    says so.

    A third input gives Y its shape; gradients use it. Raises ValueError where the inner sizes differ. Caffe2:
    operators/matmul_op. The gradient respects axis_a and axis_b, which Caffe2's maker forgets.
    """

    contract = "A: float, B: A, shape_like?: any -> Y: A[?]"
    docs = {
        "A": "a tensor, [M, K] as a matrix",
        "B": "[K, N] as a matrix",
        "shape_like": "has the shape of Y",
        "Y": "[M, N]",
    }
    copy_arguments = False
    axis_a: int = Arg(1, doc="where A is cut into a matrix")
    axis_b: int = Arg(1, doc="where B is cut into a matrix")
    trans_a: bool = Arg(False, doc="whether to transpose A's matrix")
    trans_b: bool = Arg(False, doc="whether to transpose B's matrix")

    def _sizes(self, a: Shape, b: Shape) -> tuple[Any, Any, Any]:
        (m, k), (k_b, n) = flat2d(a, self.axis_a, "axis_a"), flat2d(b, self.axis_b, "axis_b")
        if self.trans_a:
            m, k = k, m
        if self.trans_b:
            k_b, n = n, k_b
        if differ(k, k_b):
            raise ValueError(
                f"B: shape {show(b)} is a matrix {show((k_b, n))}, wants {k} rows as A has columns, {show(a)}"
                f" (trans_a = {self.trans_a}, trans_b = {self.trans_b})"
            )
        return m, n, k if known(k) else k_b

    def _y_shape(self, a: Shape, b: Shape, like: Shape | None) -> Shape:
        m, n, _ = self._sizes(a, b)
        if like is None:
            return (m, n)
        if differ(size(like), m * n):
            raise ValueError(f"shape_like: shape is {show(like)}, wants {m} x {n} elements")
        return like

    def infer(self, a: TensorSpec, b: TensorSpec, like: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec(self._y_shape(a.shape, b.shape, None if like is None else like.shape), a.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        m, n, k = self._sizes(inputs[0].shape, inputs[1].shape)
        read = inputs[0].nbytes + inputs[1].nbytes
        return Cost(2 * m * n * k, read, outputs[0].nbytes)

    def run_cpu(self, a: np.ndarray, b: np.ndarray, like: np.ndarray | None = None) -> Any:
        y = self.out(0, self._y_shape(a.shape, b.shape, None if like is None else like.shape), a.dtype)
        self.bind((a, b), (y,))()
        return y

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[[], Any]:
        a, b, y = inputs[0], inputs[1], outputs[0]
        m, n, k = self._sizes(a.shape, b.shape)
        a2 = a.reshape(k, m).T if self.trans_a else a.reshape(m, k)
        b2 = b.reshape(n, k).T if self.trans_b else b.reshape(k, n)
        y2 = y.reshape(m, n)
        return lambda: np.matmul(a2, b2, out=y2)

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        args: Mapping[str, Any] = g.def_.args
        trans_a, trans_b = (bool(args.get(name, 0)) for name in ("trans_a", "trans_b"))
        a, b, dy = (g.I(0), int(args.get("axis_a", 1))), (g.I(1), int(args.get("axis_b", 1))), (g.GO(0), 1)

        def product(
            left: Any, right: Any, flip_left: bool, flip_right: bool, cut: str, like: str, out: str
        ) -> OperatorDef:
            """`cut` is the operand that is no gradient and needs an axis: "axis_a" for the left one, "axis_b" for the
            right.
            """
            flips = {name: 1 for name, flip in (("trans_a", flip_left), ("trans_b", flip_right)) if flip}
            axis = left[1] if cut == "axis_a" else right[1]
            return g.op("MatMul", (left[0], right[0], like), (out,), **flips, **{cut: axis})

        if trans_a:
            da = product(b, dy, trans_b, True, "axis_a", a[0], g.GI(0))
        else:
            da = product(dy, b, False, not trans_b, "axis_b", a[0], g.GI(0))
        if trans_b:
            db = product(dy, a, True, trans_a, "axis_b", b[0], g.GI(1))
        else:
            db = product(a, dy, not trans_a, False, "axis_a", b[0], g.GI(1))
        return [da, db]


class BatchMatMul(Operator):
    """Y[i] = A[i] B[i]: products of the matrices in the last two dims, one for each index of the dims before.

    Without `broadcast` both have the same dims before, but for ones in front; with it these are broadcast as NumPy
    does. A vector on the left is a row, on the right a column, for all matrices of the other; that dim does not appear
    in Y, and its trans flag is ignored; two vectors give shape [1]. Raises ValueError where shapes don't fit. Caffe2:
    operators/batch_matmul_op.
    """

    contract = "A: float, B: A -> Y: A[?]"
    docs = {"A": "[..., M, K]", "B": "[..., K, N]", "Y": "[..., M, N]"}
    copy_arguments = False
    trans_a: bool = Arg(False, doc="whether to transpose A's matrices")
    trans_b: bool = Arg(False, doc="whether to transpose B's matrices")
    broadcast: bool = Arg(False, doc="whether the dims before the last two are broadcast")
    use_scratch: bool = Arg(False, doc="a hint for float16; taken and ignored")

    def _y_shape(self, a: Shape, b: Shape) -> Shape:
        if not a or not b:
            raise ValueError(f"{'B' if a else 'A'}: has no dimensions, wants at least 1")
        (m, k), (k_b, n) = self._matrix(a, self.trans_a, (1, a[-1])), self._matrix(b, self.trans_b, (b[-1], 1))
        if differ(k, k_b):
            raise ValueError(
                f"B: shape {show(b)} is matrices {show((k_b, n))}, wants {k} rows as A has columns: A is {show(a)}"
            )
        y = (*self._batch(a, b), *(m,) * (len(a) > 1), *(n,) * (len(b) > 1))
        return y or (1,)

    @staticmethod
    def _matrix(shape: Shape, flip: bool, vector: tuple[Any, Any]) -> tuple[Any, Any]:
        if len(shape) == 1:
            return vector
        return (shape[-1], shape[-2]) if flip else (shape[-2], shape[-1])

    def _batch(self, a: Shape, b: Shape) -> Shape:
        left, right = a[:-2], b[:-2]
        n = max(len(left), len(right))
        left, right = (1,) * (n - len(left)) + left, (1,) * (n - len(right)) + right
        if not self.broadcast and min(len(a), len(b)) > 1 and any(map(differ, left, right)):
            raise ValueError(
                f"B: shape {show(b)} wants the same dims before the last two as A, {show(a)} (broadcast = 0)"
            )
        if any(differ(p, q) and p != 1 and q != 1 for p, q in zip(left, right)):
            raise ValueError(f"B: shape {show(b)} does not broadcast with A, {show(a)}")
        return tuple(
            q if known(p) and p == 1 else p if (known(q) and q == 1) or known(p) else q for p, q in zip(left, right)
        )

    def infer(self, a: TensorSpec, b: TensorSpec) -> TensorSpec:
        return TensorSpec(self._y_shape(a.shape, b.shape), a.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        a = inputs[0].shape
        k = a[-2] if self.trans_a and len(a) > 1 else a[-1]
        moved = super().cost(inputs, outputs)
        return Cost(2 * outputs[0].size * k, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, a: np.ndarray, b: np.ndarray) -> Any:
        y = self.out(0, self._y_shape(a.shape, b.shape), a.dtype)
        self.bind((a, b), (y,))()
        return y

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[[], Any]:
        (a, b), y = inputs, outputs[0]
        if a.ndim > 1 and self.trans_a:
            a = a.swapaxes(-1, -2)
        if b.ndim > 1 and self.trans_b:
            b = b.swapaxes(-1, -2)
        if a.ndim == b.ndim == 1:
            y = y.reshape(())
        return lambda: np.matmul(a, b, out=y)

    run_cuda = run_cpu

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        args = g.def_.args
        if args.get("broadcast", 0):
            raise GradientError("BatchMatMul: there is no gradient with broadcast = 1")
        a, b, dy = g.I(0), g.I(1), g.GO(0)
        # (inputs, flags) of dA and dB, by which of A and B is transposed
        # fmt: off
        table: dict[tuple[bool, bool], Any] = {
            (False, False): (((dy, b), {"trans_b": 1}), ((a, dy), {"trans_a": 1})),
            (True, False): (((b, dy), {"trans_b": 1}), ((a, dy), {})),
            (False, True): (((dy, b), {}), ((dy, a), {"trans_a": 1})),
            (True, True): (((b, dy), {"trans_a": 1, "trans_b": 1}), ((dy, a), {"trans_a": 1, "trans_b": 1})),
        }
        # fmt: on
        products = table[bool(args.get("trans_a", 0)), bool(args.get("trans_b", 0))]
        return [g.op("BatchMatMul", inputs, (g.GI(i),), **flags) for i, (inputs, flags) in enumerate(products)]
