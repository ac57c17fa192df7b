"""Products of matrices."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import FLOAT
from caffe2ops.port.values import NotPortable, Value


def product(g: Builder, A: Value, B: Value) -> Value:
    """NumPy's matmul: matrices, and stacks of matrices that are broadcast."""
    if A.dtype.kind != "f":
        return g.cast(product(g, g.cast(A, np.float64), g.cast(B, np.float64)), A.dtype)
    a, b = g.accepted(FLOAT, A, B)
    if a.has_rank and b.has_rank and a.rank == b.rank == 2:
        return g.cast(g.MatMul(a, b), A.dtype)
    found = g.BatchMatMul(a, b, broadcast=1)
    if a.rank == b.rank == 1:
        found = g.squeeze(found, 0)
    return g.cast(found, A.dtype)


@rule("MatMul")
def matmul(g: Builder, node: Node, A: Value, B: Value) -> Value:
    return product(g, A, B)


@rule("Gemm")
def gemm(g: Builder, node: Node, A: Value, B: Value, C: Value | None = None) -> Value:
    alpha, beta = node["alpha"], node["beta"]
    a, b = g.accepted(FLOAT, A, B) if A.dtype.kind == "f" else [g.cast(v, np.float64) for v in (A, B)]
    width = b.shape[0 if node["transB"] else 1]
    fits = C is not None and C.has_rank and C.shape == (width,) and isinstance(width, int)
    if fits and alpha == beta == 1 and not node["transA"] and a.dtype == A.dtype:
        return g.one("FC" if node["transB"] else "FCTransposed", a, b, C)
    found = g.MatMul(a, b, trans_a=node["transA"] or None, trans_b=node["transB"] or None)
    if alpha != 1:
        found = g.Mul(found, g.like(found, alpha))
    if C is not None and beta:
        c = g.cast(C, found.dtype)
        found = g.Add(found, c if beta == 1 else g.Mul(c, g.like(c, beta)))
    return g.cast(found, A.dtype)


@rule("Einsum")
def einsum(g: Builder, node: Node, *inputs: Value) -> Value:
    """Of one or two tensors without repeated letters: sums, transposes, and one stack of matrix products."""
    text = node["equation"].replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if "." in text:
        count = [v.rank - len(t.replace("...", "")) for t, v in zip(terms, inputs)]
        if len(set(count)) > 1:
            raise NotPortable(f"equation {text!r} broadcasts")
        dots = "ABCDEFGH"[: count[0]]
        terms, right = [t.replace("...", dots) for t in terms], right.replace("...", dots)
    letters = "".join(terms)
    if not arrow:
        right = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if any(len(set(t)) < len(t) for t in terms) or len(terms) > 2:
        raise NotPortable(f"equation {text!r} has a letter twice in a term, or more than two terms")
    if len(terms) == 1:
        return _arranged(g, inputs[0], terms[0], right)
    a, b = terms
    x, y = (_arranged(g, v, t, "".join(c for c in t if c in right or c in o)) for v, t, o in zip(inputs, terms, (b, a)))
    a, b = ("".join(c for c in t if c in right or c in o) for t, o in ((a, b), (b, a)))
    batch = [c for c in a if c in b and c in right]
    inner = [c for c in a if c in b and c not in right]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]
    size = {c: v.static(i) for t, v in ((a, x), (b, y)) for i, c in enumerate(t)}

    def joined(*groups: list[str]) -> list[int]:
        return [size[c] for c in batch] + [int(np.prod([size[c] for c in group])) for group in groups]

    x = g.reshape(_arranged(g, x, a, "".join([*batch, *rows, *inner])), joined(rows, inner))
    y = g.reshape(_arranged(g, y, b, "".join([*batch, *inner, *columns])), joined(inner, columns))
    found = g.reshape(product(g, x, y), [size[c] for c in [*batch, *rows, *columns]])
    return _arranged(g, found, "".join([*batch, *rows, *columns]), right)


def _arranged(g: Builder, x: Value, letters: str, wanted: str) -> Value:
    """x with its axes in another order, those not wanted summed."""
    gone = [i for i, c in enumerate(letters) if c not in wanted]
    if gone:
        x = g.over(("float32", "float64", "int32", "int64"), "ReduceSum", x, axes=gone, keepdims=0)
        letters = "".join(c for c in letters if c in wanted)
    return g.transpose(x, [letters.index(c) for c in wanted])
