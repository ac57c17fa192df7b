"""Find, FindDuplicateElements, IsMemberOf: where values stand, whether they are among others."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import dtype_of
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator


class Find(Operator):
    """For each query the last place where it stands in index, missing_value where it does not.

    Caffe2: operators/find_op.
    """

    contract = "index: integer, query: index -> query_indices: index[?]"
    docs = {"index": "what is searched", "query": "the wanted values", "query_indices": "like query: the places"}
    missing_value: int = Arg(-1, doc="what stands for values that are not there")

    def infer(self, index: TensorSpec, query: TensorSpec) -> TensorSpec:
        return TensorSpec(query.shape, query.dtype)

    def run_cpu(self, index: np.ndarray, query: np.ndarray) -> Any:
        flat = index.reshape(-1)
        order = np.argsort(flat, kind="stable")
        at = np.searchsorted(flat, query, side="right", sorter=order) - 1
        out = self.out(0, query.shape, query.dtype)
        out[...] = self.missing_value
        if flat.size:
            place = order[np.maximum(at, 0)]
            np.copyto(out, place, where=(at >= 0) & (flat[place] == query), casting="unsafe")
        return out

    def run_cuda(self, index: Any, query: Any) -> Any:
        from caffe2ops.ops.index import find_cuda

        return find_cuda.find(index, query, self.missing_value, self.out(0, query.shape, query.dtype))


class FindDuplicateElements(Operator):
    """The places of all elements that have stood before. NaN equals nothing.

    Caffe2: operators/find_duplicate_elements_op.
    """

    contract = "data: number|string[N] -> indices: int64[?]"
    docs = {"data": "a vector", "indices": "ascending"}
    gradient = FORBIDDEN

    def infer(self, data: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), np.int64)

    def run_cpu(self, data: np.ndarray) -> Any:
        _, first = np.unique(data, return_index=True, equal_nan=False)
        again = np.ones(len(data), bool)
        again[first] = False
        return np.flatnonzero(again)

    def run_cuda(self, data: Any) -> Any:
        from caffe2ops.ops.index import find_cuda

        return find_cuda.on_device(self.run_cpu(data)) if data.dtype.hasobject else find_cuda.duplicates(data)


class IsMemberOf(Operator):
    """Whether each element is one of the values. Caffe2: operators/elementwise_logical_ops."""

    contract = "X: integer|bool|string -> Y: bool[?]"
    docs = {"X": "any shape", "Y": "like X"}
    gradient = FORBIDDEN
    value: list = Arg((), doc="the values, of the dtype of X; of others none is found")
    dtype: int = Arg(None, doc="the DataType of the values, if not that of X")

    def infer(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec(x.shape, np.bool_)

    def _values(self, x: Any) -> np.ndarray:
        """The values that X can have."""
        wanted = x.dtype if self.dtype is None else dtype_of(self.dtype)
        if wanted != x.dtype:
            raise TypeError(f"dtype = {self.dtype}, X is {x.dtype}")
        kinds = (str, bytes) if x.dtype.hasobject else (int, np.integer)
        values = [v.encode() if isinstance(v, str) else v for v in self.value if isinstance(v, kinds)]
        if x.dtype.hasobject:
            return np.array(values, object)
        return np.array(values, np.int64) != 0 if x.dtype == bool else np.array(values, np.int64)

    def run_cpu(self, x: np.ndarray) -> Any:
        found = self._values(x)
        y = self.out(0, x.shape, np.bool_)
        y[...] = np.isin(x, found)
        return y

    def run_cuda(self, x: Any) -> Any:
        from caffe2ops.ops.index import find_cuda

        found = self._values(x)
        if x.dtype.hasobject:
            return find_cuda.on_device(np.isin(x, found))
        return find_cuda.is_member(x, found, self.out(0, x.shape, np.bool_))
