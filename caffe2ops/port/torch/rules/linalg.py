"""Products of matrices, and of rows."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.shape import like, matrix
from caffe2ops.port.torch.text import listed, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer


@rule("FC", "FCTransposed")
def fully_connected(t: Writer, op: Any, x: Tensor, w: Tensor, b: Tensor) -> str:
    axis = op.axis % x.rank
    rows = f"{x}.flatten()" if axis == 0 else f"{x}.flatten({axis})" if axis < x.rank - 1 else str(x)
    at = op.axis_w % w.rank
    if w.owned and b.owned:
        sizes = (int(_product(w, 0, at)), int(_product(w, at, w.rank)))
        n, k = sizes[::-1] if op.transposed else sizes
        made = t.module(
            f"nn.Linear({k}, {n})",
            {
                "weight": (w, lambda a: a.reshape(k, n).T if op.transposed else a.reshape(n, k)),
                "bias": (b, lambda a: a.reshape(-1)),
            },
        )
        return f"{made}({rows})"
    weight = matrix(w, op.axis_w)
    return f"F.linear({rows}, {f'{weight}.T' if op.transposed else weight}, {b})"


def _product(x: Tensor, start: int, end: int) -> int:
    product = 1
    for axis in range(start, end):
        product *= x.static(axis)
    return product


@rule("MatMul")
def matmul(t: Writer, op: Any, a: Tensor, b: Tensor, shaped: Tensor | None = None) -> str:
    left, right = matrix(a, op.axis_a), matrix(b, op.axis_b)
    text = f"{left}{'.T' if op.trans_a else ''} @ {right}{'.T' if op.trans_b else ''}"
    return text if shaped is None else like(f"({text})", shaped)


@rule("BatchMatMul")
def batch_matmul(t: Writer, op: Any, a: Tensor, b: Tensor) -> str:
    left = f"{a}.mT" if op.trans_a and a.rank > 1 else str(a)
    right = f"{b}.mT" if op.trans_b and b.rank > 1 else str(b)
    return f"({left} @ {right}).reshape(1)" if a.rank == b.rank == 1 else f"{left} @ {right}"


def rows(x: Tensor) -> str:
    """A matrix of the rows of x; a number counts as one row."""
    return matrix(x) if x.rank > 1 else f"{x}.reshape(-1, 1)"


@rule("DotProduct")
def dot_product(t: Writer, op: Any, x: Tensor, y: Tensor) -> str:
    return f"({rows(x)} * {rows(y)}).sum(1)"


@rule("DotProductWithPadding")
def dot_product_with_padding(t: Writer, op: Any, x: Tensor, y: Tensor) -> str:
    wide, narrow = (int(_product(v, 1, v.rank)) for v in (x, y))
    if wide < narrow:
        x, y, wide, narrow = y, x, narrow, wide
    short = rows(y)
    if wide != narrow and op.replicate:
        short = f"{short}.repeat(1, {wide // narrow})"
    elif wide != narrow:
        short = f"F.pad({short}, (0, {wide - narrow}), value={literal(op.pad_value)})"
    return f"({rows(x)} * {short}).sum(1)"


@rule("SquaredL2Distance")
def squared_distance(t: Writer, op: Any, x: Tensor, y: Tensor) -> str:
    return f"({rows(x)} - {rows(y)}).square().sum(1) / 2"


@rule("L1Distance")
def l1_distance(t: Writer, op: Any, x: Tensor, y: Tensor) -> str:
    return f"({rows(x)} - {rows(y)}).abs().sum(1)"


@rule("CosineSimilarity")
def cosine_similarity(t: Writer, op: Any, x: Tensor, y: Tensor) -> str:
    return t.call("cosine_similarity", rows(x), rows(y))


@rule("ConcatBatchMatMulBatchGatherOp")
def chosen_products(t: Writer, op: Any, indices: Tensor, *inputs: Tensor) -> str:
    rows = t.let("rows", f"torch.stack({listed(map(matrix, inputs))}, 1)")
    return f"({rows} @ {rows}.mT).flatten(1)[:, {indices}.long()]"


@rule("ReduceFrontWeightedSum")
def weighted_rows(t: Writer, op: Any, data: Tensor, scalars: Tensor) -> str:
    return f"torch.tensordot({scalars}, {data}, {op.num_reduce_dim})"


@rule("TT")
def tensor_train(t: Writer, op: Any, x: Tensor, b: Tensor, cores: Tensor) -> str:
    ranks, given = op.tt_ranks, list(zip(op.inp_sizes, op.out_sizes))
    sizes = [(n * ranks[k + 1], ranks[k] * m, m) for k, (n, m) in enumerate(given)]
    return t.call("tensor_train", x, b, cores, sizes[::-1])


@rule("FbGemmPack", "FbGemmPackTranspose")
def pack_half(t: Writer, op: Any, x: Tensor) -> str:
    rounded = f"{matrix(x, op.axis_w)}.clamp(-65504, 65504).half().float()"
    return f"{rounded}.T" if op.transposed else rounded


@rule("FbFCPacked")
def packed_fully_connected(t: Writer, op: Any, x: Tensor, w: Tensor, b: Tensor) -> str:
    axis = op.axis % x.rank
    rows = str(x) if axis == x.rank - 1 else f"{x}.flatten({axis})"
    return f"F.linear({rows}, {w}, {b})"
