"""Products of matrices."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import FLOAT
from caffe2ops.port.values import NotPortable, Value

LARGEST = 6  # rows of a matrix whose determinant is taken


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
    """Diagonals, sums, transposes, and for each two terms a stack of matrix products."""
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
    a, x = _diagonal(g, inputs[0], terms[0])
    for i, (term, value) in enumerate(zip(terms[1:], inputs[1:]), 2):
        b, y = _diagonal(g, value, term)
        a, x = _both(g, x, y, a, b, "".join([right, *terms[i:]]))
    return _arranged(g, x, a, right)


def _diagonal(g: Builder, x: Value, letters: str) -> tuple[str, Value]:
    """x with one axis for each letter: of axes with one letter the diagonal."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            size = x.static(first)
            x = g.moved(x, second, first + 1)
            dims = [g.dim(x, axis) for axis in range(x.rank)]
            flat = g.reshape_to(x, [*dims[:first], size * size, *dims[first + 2 :]])
            x = g.one("Gather", flat, np.arange(size, dtype=np.int64) * (size + 1), axis=first)
            letters = letters[:second] + letters[second + 1 :]
    return letters, x


def _both(g: Builder, x: Value, y: Value, a: str, b: str, later: str) -> tuple[str, Value]:
    """Two terms as one, with the letters that are read later."""
    x, y = (_arranged(g, v, t, "".join(c for c in t if c in later or c in o)) for v, t, o in ((x, a, b), (y, b, a)))
    a, b = ("".join(c for c in t if c in later or c in o) for t, o in ((a, b), (b, a)))
    batch = [c for c in a if c in b and c in later]
    inner = [c for c in a if c in b and c not in later]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]
    size: dict[str, Any] = {}
    for term, value in ((a, x), (b, y)):
        for axis, c in enumerate(term):
            size[c] = dim if isinstance(dim := value.shape[axis], int) else size.get(c, g.dim(value, axis))

    def joined(*groups: list[str]) -> list[Any]:
        return [size[c] for c in batch] + [g.times(*(size[c] for c in part)) for part in groups]

    x = g.reshape_to(_arranged(g, x, a, "".join([*batch, *rows, *inner])), joined(rows, inner))
    y = g.reshape_to(_arranged(g, y, b, "".join([*batch, *inner, *columns])), joined(inner, columns))
    order = [*batch, *rows, *columns]
    return "".join(order), g.reshape_to(product(g, x, y), [size[c] for c in order])


def _arranged(g: Builder, x: Value, letters: str, wanted: str) -> Value:
    """x with its axes in another order, those not wanted summed."""
    gone = [i for i, c in enumerate(letters) if c not in wanted]
    if gone:
        x = g.over(("float32", "float64", "int32", "int64"), "ReduceSum", x, axes=gone, keepdims=0)
        letters = "".join(c for c in letters if c in wanted)
    return g.transpose(x, [letters.index(c) for c in wanted])


@rule("Det")
def determinant(g: Builder, node: Node, x: Value) -> Value:
    """The sum over all ways to choose one element from each row and column."""
    n = x.static(-1)
    if n > LARGEST:
        raise NotPortable(f"is of {n} rows, which are {n}! products; Caffe2 has no elimination")
    ways = np.array(list(permutations(range(n)))).reshape(-1, n)
    signs = np.array([np.linalg.det(np.eye(n)[way]).round() for way in ways]) if n else np.ones(1)
    flat = g.reshape(x, [*[0] * (x.rank - 2), n * n])
    chosen = g.one("Gather", flat, (ways + np.arange(n) * n).astype(np.int64), axis=x.rank - 2)
    products = g.aten("prod", chosen, dim=x.rank - 1, keepdim=0)
    products.shape = chosen.shape[:-1]
    (found,) = g.accepted(FLOAT, products)
    total = g.ReduceSum(g.Mul(found, g.constant(signs.astype(found.dtype))), axes=[x.rank - 2], keepdims=0)
    return g.cast(total, x.dtype)
