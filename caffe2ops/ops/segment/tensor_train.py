"""Weights kept as a train of cores: TT, a linear layer, and TTSparseLengthsSum, an embedding table."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NOT_YET, Arg, Operator
from caffe2ops.ops.index.rows import add_rows, checked_indices
from caffe2ops.ops.segment.lengths_reduce import as_matrix, checked_lengths
from caffe2ops.ops.shape.axes import show


class TT(Operator):
    """X W + b, where W is a product of cores; core k is a matrix [inp_sizes[k] r[k + 1], r[k] out_sizes[k]].

    Y is [batch, product of out_sizes]. For a batch of more than one row the numbers of Y stand in the order in which
    Caffe2 leaves them: its last step transposes as if there were one row. Raises ValueError where the arguments do not
    fit each other, X or the cores. Caffe2: operators/tt_linear_op.
    """

    contract = "X: float, b: X[Q], cores: X[C] -> Y: X[?]"
    docs = {
        "X": "a batch of rows, [batch, product of inp_sizes] in any shape that begins so",
        "b": "what is added to each row, as many numbers as the product of out_sizes",
        "cores": "the numbers of all cores, the last core first",
        "Y": "the rows multiplied with W",
    }
    gradient = NOT_YET
    inp_sizes: list[int] = Arg((), ge=1, doc="sizes of the dims that a row of X is cut into")
    out_sizes: list[int] = Arg((), ge=1, doc="sizes of the dims that a row of Y is cut into, as many")
    tt_ranks: list[int] = Arg((), ge=1, doc="ranks r between the cores, one more than dims, the first and the last 1")

    def infer(self, X: TensorSpec, b: TensorSpec, cores: TensorSpec) -> TensorSpec:
        return TensorSpec((X.shape[0], prod(self.out_sizes)), X.dtype)

    def run_cpu(self, X: np.ndarray, b: np.ndarray, cores: np.ndarray) -> Any:
        d, r = len(self.inp_sizes), self.tt_ranks
        if not d or len(self.out_sizes) != d or len(r) != d + 1 or r[0] != 1 or r[-1] != 1:
            raise ValueError(
                f"inp_sizes = {self.inp_sizes}, out_sizes = {self.out_sizes}, tt_ranks = {r}: wants as many sizes of "
                "each kind and one rank more, the first and the last 1"
            )
        shapes = [(self.inp_sizes[k] * r[k + 1], r[k] * self.out_sizes[k]) for k in range(d)]
        wanted = (
            ("X", X.size, X.shape[0] * prod(self.inp_sizes) if X.ndim > 1 else -1),
            ("b", b.size, prod(self.out_sizes)),
            ("cores", cores.size, sum(map(prod, shapes))),
        )
        for name, got, needed in wanted:
            if got < needed if name == "cores" else got != needed:
                raise ValueError(f"{name}: has {got} elements, inp_sizes, out_sizes and tt_ranks want {needed}")
        y, at = X, 0
        for k in reversed(range(d)):
            rows, columns = shapes[k]
            y = y.reshape(-1, rows) @ cores[at : at + rows * columns].reshape(rows, columns)
            y = np.ascontiguousarray(y.reshape(-1, self.out_sizes[k]).T)
            at += rows * columns
        out = self.out(0, (X.shape[0], b.size), X.dtype)
        np.add(y.reshape(out.shape).T.reshape(out.shape), b, out=out)
        return out


class TTLinearGradient(Operator):
    """No gradient of TT: Caffe2 has the type, whose every run fails, and so does this. Caffe2:
    operators/tt_linear_op."""

    contract = "*inputs?: any -> *outputs?: any[?]"
    docs = {"inputs": "not read", "outputs": "not written"}

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        raise TypeError("TTLinearGradient: nobody has written it, in Caffe2 neither")


class TTSparseLengthsSum(Operator):
    """SparseLengthsSum over an embedding table that is a train of three cores, of which rows are computed as needed.

    Row i of the table is core0[i0] core1[i1] core2[i2], where i = i0 + factor_i[0] (i1 + factor_i[1] i2), each core
    being [factor_i[k], ranks[k], factor_j[k], ranks[k + 1]]. Raises ValueError where arguments, cores and lengths do
    not fit, IndexError for an index that is no row. Caffe2: operators/lengths_reducer_ops.
    """

    contract = (
        "core0: float, core1: core0, core2: core0, index: int64[K], lengths: int32[N] "
        "-> OUTPUT: core0[N, emb_size], core0_output: core0[?], core1_output: core0[?], indices: int64[K, 3]"
    )
    docs = {
        "core0": "the core of the first factor",
        "core1": "the core of the second factor",
        "core2": "the core of the third factor",
        "index": "rows of the table, one segment after the other",
        "lengths": "how many rows each segment has; they add up to K",
        "OUTPUT": "the sum of each segment",
        "core0_output": "core0 of each row, [K, factor_j[0], ranks[1]], for the gradient",
        "core1_output": "core0 core1 of each row, [K, factor_j[0] factor_j[1], ranks[2]], for the gradient",
        "indices": "(i0, i1, i2) of each row, for the gradient",
    }
    gradient = (
        "TTSparseLengthsSumGradient(core0, core1, core2, lengths, core0_output, core1_output, indices, dOUTPUT) "
        "-> dcore0, dcore1, dcore2"
    )
    factor_i: list[int] = Arg((1, 1, 1), ge=1, doc="three factors of the number of rows")
    factor_j: list[int] = Arg((1, 1, 1), ge=1, doc="three factors of the width of a row")
    ranks: list[int] = Arg((1, 1, 1, 1), ge=1, doc="four ranks, the first and the last 1")
    emb_size: int = Arg(64, ge=1, doc="the width of a row, the product of factor_j")

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        core, index, lengths = inputs[0], *inputs[3:]
        self._fit()
        j, r, (count,) = self.factor_j, self.ranks, index.shape
        shapes = (*lengths.shape, self.emb_size), (count, j[0], r[1]), (count, j[0] * j[1], r[2])
        return (*(TensorSpec(shape, core.dtype) for shape in shapes), TensorSpec((count, 3), np.int64))

    def _fit(self) -> None:
        i, j, r = self.factor_i, self.factor_j, self.ranks
        if len(i) != 3 or len(j) != 3 or len(r) != 4 or r[0] != 1 or r[3] != 1 or prod(j) != self.emb_size:
            raise ValueError(
                f"factor_i = {i}, factor_j = {j}, ranks = {r}, emb_size = {self.emb_size}: wants three factors, four "
                "ranks with 1 first and last, and emb_size the product of factor_j"
            )

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        *cores, index, lengths = inputs
        self._fit()
        checked_lengths(lengths, len(index), "index", name="lengths")
        checked_indices(index, prod(self.factor_i), "index", "the table of factor_i")
        steps = np.cumprod([1, *self.factor_i[:2]])
        indices = index[:, None] // steps % self.factor_i
        rows, found = np.ones((len(index), 1, 1), cores[0].dtype), []
        for k, core in enumerate(cores):
            left, right = self.ranks[k], self.factor_j[k] * self.ranks[k + 1]
            if core.size != self.factor_i[k] * left * right:
                raise ValueError(f"core{k}: has {core.size} elements, wants {self.factor_i[k] * left * right}")
            rows = rows @ core.reshape(-1, left, right)[indices[:, k]]
            rows = rows.reshape(len(index), prod(self.factor_j[: k + 1]), self.ranks[k + 1])
            found.append(rows)
        out = self.out(0, (len(lengths), self.emb_size), rows.dtype)
        out[...] = 0
        add_rows(out, np.repeat(np.arange(len(lengths)), lengths), as_matrix(rows))
        return out, found[0], found[1], indices


class TTSparseLengthsSumGradient(Operator):
    """The gradient of TTSparseLengthsSum by its cores.

    Raises ValueError where shapes do not fit each other, IndexError for an index that is no row of its core. Caffe2:
    operators/lengths_reducer_ops.
    """

    contract = (
        "core0: float[A, 1, B, P], core1: core0[C, P, D, Q], core2: core0[E, Q, F, 1], lengths: int32[N], "
        "core0_output: core0[K, B, P], core1_output: core0[K, G, Q], indices: int64[K, 3], dOUTPUT: core0[N, W] "
        "-> dcore0: core0, dcore1: core1, dcore2: core2"
    )

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        *cores, lengths, first, second, indices, dy = inputs
        checked_lengths(lengths, len(indices), "indices", name="lengths")
        width = prod(core.shape[2] for core in cores)
        if dy.shape[1] != width or second.shape[1] * cores[2].shape[2] != width:
            raise ValueError(
                f"dOUTPUT: shape is {show(dy.shape)}, core1_output's is {show(second.shape)}; "
                f"the cores want width {width}"
            )
        out = [self.out(k, core.shape, core.dtype) for k, core in enumerate(cores)]
        grown, count = np.repeat(dy, lengths, axis=0), len(indices)
        for k, before in ((2, second), (1, first), (0, np.ones((count, 1, 1), dy.dtype))):
            rows, left = cores[k].shape[:2]
            at = checked_indices(np.ascontiguousarray(indices[:, k]), rows, "indices", f"core{k}")
            grown = grown.reshape(count, before.shape[1], prod(cores[k].shape[2:]))
            out[k][...] = 0
            add_rows(as_matrix(out[k]), at, as_matrix(before.transpose(0, 2, 1) @ grown))
            grown = grown @ cores[k].reshape(rows, left, -1)[at].transpose(0, 2, 1)
        return tuple(out)
