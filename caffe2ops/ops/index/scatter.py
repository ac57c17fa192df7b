"""ScatterWeightedSum and ScatterAssign: rows of a tensor changed where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import FORBIDDEN, Operator
from caffe2ops.ops.index.rows import add_rows, checked_indices
from caffe2ops.ops.shape.axes import show


def _slices(name: str, x: np.ndarray, data: np.ndarray, count: int) -> np.ndarray:
    """An input as [count, D] rows of DATA. Raises ValueError where it has another size, TypeError for another dtype."""
    width = data.size // len(data) if len(data) else 0
    if x.dtype != data.dtype:
        raise TypeError(f"{name}: dtype is {x.dtype}, wants {data.dtype}")
    if x.size != count * width:
        raise ValueError(f"{name}: shape is {show(x.shape)}, wants {count} rows of {width} elements, one an index")
    return x.reshape(count, width)


class ScatterWeightedSum(Operator):
    """X_0[i] = Weight_0 * X_0[i] + Weight_1 * X_1[j] + ... for the j-th index i of INDICES, in place.

    An index that stands there several times is scaled and added to as often. Raises IndexError for one out of range.
    Caffe2: operators/utility_ops.
    """

    contract = "X_0: float, Weight_0: float, INDICES: integer, X_1: X_0, Weight_1: float, *more?: any -> X_0: X_0"
    docs = {
        "X_0": "[N, ...], changed in place",
        "Weight_0": "one number",
        "INDICES": "K rows of X_0",
        "X_1": "[K, ...]",
        "Weight_1": "one number",
        "more": "further pairs X, Weight",
    }
    gradient = FORBIDDEN
    arity = "inputs % 2 == 1"
    inplace_enforced = ((0, 0),)

    def infer(self, x: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        return x

    @staticmethod
    def _pairs(rest: Any) -> list[tuple[Any, Any]]:
        return list(zip(rest[2::2], rest[3::2]))

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        slices = sum(x.size for x, _ in self._pairs(inputs[1:]))
        item = inputs[0].dtype.itemsize
        return Cost(2 * slices, 2 * slices * item, inputs[3].nbytes)

    def run_cpu(self, data: np.ndarray, weight: np.ndarray, indices: np.ndarray, *rest: np.ndarray) -> Any:
        if not data.ndim:
            raise ValueError("X_0: has no dimensions, wants rows")
        pairs = self._pairs((weight, indices, *rest))
        rows = checked_indices(indices, len(data), of="X_0").reshape(-1)
        terms = [
            (_slices(f"X_{i}", x, data, len(rows)), _number(f"Weight_{i}", w)) for i, (x, w) in enumerate(pairs, 1)
        ]
        target, scale = data.reshape(len(data), -1) if data.size else data, _number("Weight_0", weight)
        if not data.size or not len(rows):
            return data
        if scale != 1:
            touched, counts = np.unique(rows, return_counts=True)
            target[touched] *= (scale**counts).astype(data.dtype)[:, None]
        for x, w in terms:
            add_rows(target, rows, x if w == 1 else x * data.dtype.type(w))
        return data

    def run_cuda(self, data: Any, weight: Any, indices: Any, *rest: Any) -> Any:
        from caffe2ops.ops.index import scatter_cuda

        if not data.ndim:
            raise ValueError("X_0: has no dimensions, wants rows")
        terms = []
        for i, (x, w) in enumerate(self._pairs((weight, indices, *rest)), 1):
            terms.append((_slices(f"X_{i}", x, data, indices.size), _one(f"Weight_{i}", w)))
        return scatter_cuda.weighted_sum(data, _one("Weight_0", weight), indices, terms)


def _one(name: str, weight: Any) -> Any:
    if weight.size != 1:
        raise ValueError(f"{name}: has {weight.size} elements, wants 1")
    return weight


def _number(name: str, weight: np.ndarray) -> float:
    return float(_one(name, weight).reshape(-1)[0])


class ScatterAssign(Operator):
    """DATA[INDICES[j]] = SLICES[j], in place; of an index that stands there several times the last counts.

    Raises IndexError for an index out of range (Caffe2 writes there). Caffe2: operators/utility_ops.
    """

    contract = "DATA: any, INDICES: integer, SLICES: DATA -> DATA: DATA"
    docs = {"DATA": "[N, ...], changed in place", "INDICES": "K rows of DATA", "SLICES": "[K, ...]"}
    gradient = FORBIDDEN
    inplace_enforced = ((0, 0),)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return Cost(0, inputs[1].nbytes + inputs[2].nbytes, inputs[2].nbytes)

    def run_cpu(self, data: np.ndarray, indices: np.ndarray, slices: np.ndarray) -> Any:
        rows = checked_indices(indices, len(data)).reshape(-1)
        source = _slices("SLICES", slices, data, len(rows))
        if source.size:
            data.reshape(len(data), -1)[rows] = source
        return data

    def run_cuda(self, data: Any, indices: Any, slices: Any) -> Any:
        from caffe2ops.ops.index import scatter_cuda

        return scatter_cuda.assign(data, indices, _slices("SLICES", slices, data, indices.size))
