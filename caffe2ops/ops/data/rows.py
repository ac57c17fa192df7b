"""Rows taken out of tensors, put into them, or sorted by key."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientMaker, GradientSlice
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator


class RemoveDataBlocks(Operator):
    """The rows of a tensor without those at `indices`, which may repeat.

    Raises IndexError for a row that is not there. Caffe2: operators/remove_data_blocks_op.
    """

    contract = "data: any[N, ...], indices: any[K] -> shrunk_data: data[?]"
    docs = {
        "data": "[N, ...]",
        "indices": "rows to leave out, int32 or int64; of any dtype where there are none",
        "shrunk_data": "the other rows",
    }
    gradient = FORBIDDEN

    def infer(self, data: TensorSpec, indices: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype)

    def run_cpu(self, data: np.ndarray, indices: np.ndarray) -> np.ndarray:
        kept = np.ones(len(data), np.bool_)
        if indices.size:
            if indices.dtype not in (np.int32, np.int64):
                raise TypeError(f"indices: dtype is {indices.dtype}, wants int32 or int64")
            if indices.min() < 0 or indices.max() >= len(data):
                raise IndexError(f"indices: {indices.min()} to {indices.max()}, data has {len(data)} rows")
            kept[indices] = False
        return data[kept]


class PadEmptySamples(Operator):
    """Gives samples without a row one of zeros (of empty strings).

    features: any number of tensors [sum of lengths, ...]. Raises ValueError where lengths and rows do not agree.
    Caffe2: operators/sequence_ops.
    """

    contract = "lengths: int32[N], *features?: any -> out_lengths: int32[N], *out_features?: any[?]"
    docs = {
        "lengths": "rows of each sample",
        "features": "the rows of all samples, one after the other",
        "out_lengths": "the lengths, 1 in the place of 0",
        "out_features": "the rows with those of zeros among them, one output for each of the features",
    }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs != self.n_outputs:
            raise ValueError(f"out_features: {self.n_outputs} outputs for {self.n_inputs} inputs, wants as many")

    def infer(self, lengths: TensorSpec, *features: TensorSpec) -> tuple[TensorSpec, ...]:
        return lengths, *(TensorSpec((UNKNOWN, *spec.shape[1:]), spec.dtype) for spec in features)

    def run_cpu(self, lengths: np.ndarray, *features: np.ndarray) -> tuple[np.ndarray, ...]:
        if lengths.size and lengths.min() < 0:
            raise ValueError(f"lengths: the least is {lengths.min()}, wants 0 or more")
        out_lengths = np.maximum(lengths, 1, out=self.out(0, lengths.shape, lengths.dtype))
        ends, total = np.cumsum(out_lengths, dtype=np.int64), int(lengths.sum(dtype=np.int64))
        padded = np.zeros(int(ends[-1]) if ends.size else 0, np.bool_)
        padded[ends[lengths == 0] - 1] = True
        return out_lengths, *(self._padded(i, rows, total, padded) for i, rows in enumerate(features))

    def _padded(self, i: int, rows: np.ndarray, total: int, padded: np.ndarray) -> np.ndarray:
        if not rows.ndim or len(rows) != total:
            raise ValueError(f"features {i}: shape is {list(rows.shape)}, lengths want {total} rows")
        out = self.out(i + 1, (len(padded), *rows.shape[1:]), rows.dtype)
        out[padded] = b"" if rows.dtype == object else 0
        out[~padded] = rows
        return out


class KeySplit(Operator):
    """Output k has the places of the keys that are k: int32, ascending.

    Raises ValueError where there are not as many outputs as keys are allowed, and IndexError for a key that is not
    within 0 .. categorical_limit - 1. Caffe2: operators/key_split_ops.
    """

    contract = "keys: int64 -> *places: int32[?]"
    docs = {"keys": "any shape, read row by row", "places": "one output for each key"}
    categorical_limit: int = Arg(gt=0, doc="how many keys there are")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_outputs != self.categorical_limit:
            raise ValueError(f"categorical_limit: {self.categorical_limit}, there are {self.n_outputs} outputs")

    def infer(self, keys: TensorSpec) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec((UNKNOWN,), np.int32) for _ in range(self.n_outputs))

    def run_cpu(self, keys: np.ndarray) -> tuple[np.ndarray, ...]:
        keys = keys.reshape(-1)
        if keys.size and (keys.min() < 0 or keys.max() >= self.categorical_limit):
            raise IndexError(f"keys: {keys.min()} to {keys.max()}, wants 0 .. {self.categorical_limit - 1}")
        places = np.argsort(keys, kind="stable").astype(np.int32)
        ends = np.cumsum(np.bincount(keys, minlength=self.categorical_limit))
        return tuple(part.copy() for part in np.split(places, ends[:-1]))


class CopyRowsToTensor(Operator):
    """Puts one row into a matrix, in place, at all of `indices`.

    Raises IndexError for a row that is not there. The gradient passes what comes in on to the matrix, the overwritten
    rows too, and nothing to the row. Caffe2: operators/copy_rows_to_tensor_op.
    """

    contract = (
        "input_tensor: floating|int32|int64[N, D], indices: int64[K], row: input_tensor -> output_tensor: input_tensor"
    )
    docs = {
        "input_tensor": "the matrix, updated in place",
        "indices": "where the row goes",
        "row": "[D], of the matrix's dtype",
        "output_tensor": "the matrix",
    }
    inplace = inplace_enforced = ((0, 0),)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        if isinstance(g.output_gradients[0], GradientSlice):
            return [
                g.op("CopyRowsToTensorGradient", [g.GO_indices(0)], [g.GI_indices(0)]),
                g.op("CopyRowsToTensorGradient", [g.GO_values(0)], [g.GI_values(0)]),
            ]
        return [g.op("CopyRowsToTensorGradient", [g.GO(0)], [g.GI(0)])]

    def run_cpu(self, matrix: np.ndarray, indices: np.ndarray, row: np.ndarray) -> np.ndarray:
        if row.shape != matrix.shape[1:]:
            raise ValueError(
                f"row: shape is {list(row.shape)}, wants [{matrix.shape[1]}]: width of input tensor should match "
                f"lengths of row"
            )
        if indices.size and (indices.min() < 0 or indices.max() >= len(matrix)):
            raise IndexError(f"indices: {indices.min()} to {indices.max()}, input_tensor has {len(matrix)} rows")
        matrix[indices] = row
        return matrix


class CopyRowsToTensorGradient(Operator):
    """A copy of the gradient that comes in. Caffe2: operators/copy_rows_to_tensor_op; it copies one column only."""

    contract = "doutput_tensor: floating|int32|int64 -> dinput_tensor: doutput_tensor"
    docs = {"doutput_tensor": "the gradient, or its indices or values", "dinput_tensor": "a copy"}
    inplace = [(0, 0)]

    def run_cpu(self, gradient: np.ndarray) -> np.ndarray:
        out: np.ndarray = self.out(0, gradient.shape, gradient.dtype)
        if out is not gradient:
            out[...] = gradient
        return out
