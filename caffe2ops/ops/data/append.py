"""Adding rows to the end of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Operator


class Growing:
    """A tensor with room behind it, so that adding rows again and again costs what is added."""

    def __init__(self) -> None:
        self._last = np.empty(0), np.empty(0)  # the rows given last, with and without the room behind them

    def append(self, rows: np.ndarray, more: np.ndarray) -> np.ndarray:
        """`rows` with `more` behind it, in place where there is room; a copy of `more` where there are no rows."""
        if not len(rows):
            return more.copy()
        size = len(rows) + len(more)
        room, known = self._last
        if rows is not known or size > len(room):
            room = np.empty((size + size * 2 // 5, *rows.shape[1:]), rows.dtype)
            room[: len(rows)] = rows
        room[len(rows) : size] = more
        grown = room[:size]
        self._last = room, grown
        return grown

    @staticmethod
    def check(name: str, rows: np.ndarray, more: np.ndarray, in_place: bool = True) -> None:
        """Raises ValueError or TypeError where `more` cannot follow `rows`."""
        if not more.ndim or not rows.ndim:
            raise ValueError(f"{name}: is a scalar, wants rows")
        if not len(rows):
            return
        if not in_place:
            raise ValueError(f"{name}: is not updated in place")
        if rows.dtype != more.dtype:
            raise TypeError(f"{name}: dtype is {more.dtype}, wants {rows.dtype}, that of the tensor before it")
        if rows.shape[1:] != more.shape[1:]:
            raise ValueError(f"{name}: rows are {list(more.shape[1:])}, wants {list(rows.shape[1:])}")


def grown_spec(rows: TensorSpec, more: TensorSpec) -> TensorSpec:
    """The spec of a tensor with rows added; what is added says dtype and shape where there are none before."""
    return TensorSpec((rows.shape[0] + more.shape[0], *more.shape[1:]), more.dtype)


class Append(Operator):
    """Adds the rows of B to A, in place. An A without rows becomes a copy of B, whatever its dtype and shape.

    Raises TypeError and ValueError where dtypes or shapes of rows differ. Caffe2: operators/dataset_ops.
    """

    contract = "A: any, B: any -> A: any[?]"
    docs = {"A": "[N, ...], becomes [N + M, ...]", "B": "[M, ...]"}
    inplace = inplace_enforced = ((0, 0),)
    gradient = FORBIDDEN

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._growing = Growing()

    def infer(self, a: TensorSpec, b: TensorSpec) -> TensorSpec:
        return grown_spec(a, b)

    def run_cpu(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        Growing.check("B", a, b)
        return self._growing.append(a, b)


class AtomicAppend(Operator):
    """Adds rows to several tensors, in place, holding a mutex meanwhile; to none where one of them does not fit.

    mutex, then the tensors, then for each of them what is added. A tensor without rows becomes a copy of what is added,
    also where the output is another blob. Caffe2: operators/dataset_ops.
    """

    contract = "mutex: blob, dataset: any, *fields: any -> *dataset: any[?]"
    docs = {
        "mutex": "held meanwhile, from CreateMutex",
        "dataset": "the tensors, updated in place",
        "fields": "the other tensors, then what is added to each",
    }
    inplace = "input == output + 1"
    mutex = "mutex"
    gradient = FORBIDDEN

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs != 2 * self.n_outputs + 1:
            raise ValueError(
                f"fields: {self.n_inputs} inputs for {self.n_outputs} outputs, wants a mutex and two for each"
            )
        self._growing = [Growing() for _ in range(self.n_outputs)]

    def infer(self, mutex: Any, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        return tuple(map(grown_spec, inputs[: self.n_outputs], inputs[self.n_outputs :]))

    def run_cpu(self, mutex: Any, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        rows, more = inputs[: self.n_outputs], inputs[self.n_outputs :]
        for i, (a, b) in enumerate(zip(rows, more)):
            Growing.check(f"input {1 + self.n_outputs + i}", a, b, self.outputs[i] is self.inputs[i + 1])
        return tuple(g.append(a, b) for g, a, b in zip(self._growing, rows, more))
