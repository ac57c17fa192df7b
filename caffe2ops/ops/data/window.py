"""What a net sees over several runs: the last rows, or a running sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Array, Operator


class LastNWindowCollector(Operator):
    """Keeps the last `num_to_collect` rows that came by: new rows take the places of the oldest, in turn.

    last_n: the window, at first an empty blob or a tensor without elements; next: where the next row goes, once the
    window is full, else its number of rows; DATA: [M, ...], the new rows. As long as fewer have come the window has as
    many rows. Raises ValueError where the window does not fit. Caffe2: operators/last_n_window_collector; there, a
    window whose first eight bytes are zero counts as empty.
    """

    contract = (
        "last_n: blob, next: int32[], DATA: any, MUTEX?: blob, NUM_VISITED?: int64 "
        "-> last_n: DATA[?], next: int32[], NUM_VISITED?: int64"
    )
    docs = {
        "last_n": "the window, [N, ...] with N <= num_to_collect",
        "next": "the row to replace next",
        "DATA": "rows to be kept",
        "MUTEX": "held meanwhile, from CreateMutex",
        "NUM_VISITED": "one element: how many rows have come by; 0 where the window is empty",
    }
    inplace = inplace_enforced = ((0, 0), (1, 1), (4, 2))
    unwritten = ("last_n",)
    mutex = "MUTEX"
    gradient = FORBIDDEN
    num_to_collect: int = Arg(gt=0, doc="rows to keep")

    def infer(self, last_n: Any, next_: Any, data: TensorSpec, *more: Any) -> tuple[TensorSpec, ...]:
        if not data.ndim:
            raise ValueError("DATA: is a scalar, wants rows")
        window = TensorSpec((self.num_to_collect, *data.shape[1:]), data.dtype)
        return window, TensorSpec((), np.int32), *[TensorSpec(None, np.int64)] * (self.n_outputs - 2)

    def run_cpu(self, window: Any, next_: np.ndarray, data: np.ndarray, mutex: Any = None, *counts: Any) -> Any:
        if not data.ndim:
            raise ValueError("DATA: is a scalar, wants rows")
        empty = window is None or (isinstance(window, np.ndarray) and not window.size)
        if empty:
            window = data[:0].copy()
        at = self._place(window, data, 0 if empty else int(next_))
        visited = [self._count(count, len(data), empty) for count in counts]
        rows = data[-self.num_to_collect :]
        if len(rows) < len(data):
            at = 0
        size = min(self.num_to_collect, len(window) + len(rows))
        if size > len(window):
            window = np.concatenate([window, np.empty((size - len(window), *data.shape[1:]), data.dtype)])
        fit = min(len(rows), self.num_to_collect - at)
        window[at : at + fit] = rows[:fit]
        window[: len(rows) - fit] = rows[fit:]
        if len(rows):
            next_[...] = (at + len(rows)) % self.num_to_collect
        return window, next_, *visited

    def _place(self, window: Any, data: np.ndarray, at: int) -> int:
        """Where the next row goes. Raises TypeError and ValueError where window, place and data do not fit."""
        if not isinstance(window, np.ndarray) or window.dtype != data.dtype:
            raise TypeError(f"last_n: holds {getattr(window, 'dtype', type(window).__name__)}, DATA {data.dtype}")
        if window.shape[1:] != data.shape[1:] or len(window) > self.num_to_collect:
            raise ValueError(
                f"last_n: shape is {list(window.shape)}, wants up to {self.num_to_collect} rows {list(data.shape[1:])}"
            )
        full = len(window) == self.num_to_collect
        if not 0 <= at < self.num_to_collect or not (full or at == len(window)):
            raise ValueError(f"next: is {at}, the window has {len(window)} of {self.num_to_collect} rows")
        return at

    @staticmethod
    def _count(visited: Any, rows: int, empty: bool) -> np.ndarray:
        if not isinstance(visited, np.ndarray) or visited.dtype != np.int64 or visited.size != 1:
            raise ValueError("NUM_VISITED: wants one int64")
        if (visited < 0).any():
            raise ValueError(f"NUM_VISITED: is {visited.item()}, wants 0 or more")
        visited[...] = rows + (0 if empty else visited)
        return visited


class Accumulate(Operator):
    """output = input + gamma output, from run to run; an output of another shape or dtype counts as zeros.

    Caffe2: operators/accumulate_op; there a new output adds what its memory holds.
    """

    contract = "input: float -> output: input"
    docs = {"input": "what is added", "output": "the sum so far"}
    gradient = FORBIDDEN
    gamma: float = Arg(1.0, doc="what the sum so far is multiplied by first")

    def run_cpu(self, x: Array) -> Array:
        before = self.outputs[0].value if self.outputs else None
        total = self.out(0, x.shape, x.dtype)
        if total is before:
            total *= x.dtype.type(self.gamma)
            total += x
        else:
            total[...] = x
        return total

    run_cuda = run_cpu
