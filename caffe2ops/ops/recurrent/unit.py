"""What the LSTM and GRU units share: gates of one time step, and rows whose sequence is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Operator


class Unit(Operator):
    """Base: one time step of a cell. After the gates come the lengths, unless `sequence_lengths` is 0, and the step."""

    gates: int  # how many gates there are
    sequence_lengths: bool = Arg(
        True, doc="whether the lengths are there; without them all inputs behind move up by one"
    )

    drop_states: bool = Arg(False, doc="whether rows past the end of their sequence become 0 instead of staying")

    def _timing(self, x: Any, hidden: Any, rest: Sequence[Any]) -> tuple[tuple[Any, Any], Sequence[Any]]:
        """The lengths, None without `sequence_lengths`, and the step; and the inputs behind them.

        `rest` are all inputs behind the gates. Raises ValueError for gates, lengths or a step of other sizes.
        """
        (_, n, d), wanted = hidden.shape, self.gates
        if x.shape[2] != wanted * d:
            raise ValueError(f"gates: shape is {list(x.shape)}, wants [1, {n}, {wanted * d}]: {wanted} times {d}")
        names = ("seq_lengths", "timestep") if self.sequence_lengths else ("timestep",)
        if len(rest) < len(names):
            raise ValueError(f"inputs: {names[-1]} is missing; sequence_lengths is {int(self.sequence_lengths)}")
        for name, value in zip(names, rest):
            if value.dtype != np.int32:
                raise TypeError(f"{name}: dtype is {value.dtype}, wants int32")
        step, behind = rest[len(names) - 1], rest[len(names) :]
        if step.size != 1:
            raise ValueError(f"timestep: has {step.size} elements, wants 1")
        if not self.sequence_lengths:
            return (None, step), behind
        if rest[0].size != n:
            raise ValueError(f"seq_lengths: has {rest[0].size} elements, wants {n}, the batch size")
        return (rest[0], step), behind

    def _timed(
        self, x: np.ndarray, hidden: np.ndarray, rest: Sequence[Any]
    ) -> tuple[Callable[[], np.ndarray | None], Sequence[Any]]:
        """A call that gives the rows (N, 1) whose sequence is over, None for none; and the inputs behind the step."""
        (given, step), behind = self._timing(x, hidden, rest)
        if given is None:
            return lambda: None, behind
        lengths, now = given.reshape(-1, 1), step.reshape(1)

        def over() -> np.ndarray | None:
            found: np.ndarray = lengths <= now
            return found if found.any() else None

        return over, behind

    def _stay(self, new: np.ndarray, old: np.ndarray, over: np.ndarray) -> None:
        """Rows (N, D) whose sequence is over stay as they were, or become 0."""
        np.copyto(new, new.dtype.type(0) if self.drop_states else old, where=over)

    def _like(self, hidden: Any, named: Sequence[tuple[str, Any]]) -> None:
        """Raises for inputs of other dtype or shape than the hidden state's."""
        for name, value in named:
            if value.dtype != hidden.dtype:
                raise TypeError(f"{name}: dtype is {value.dtype}, wants {hidden.dtype}")
            if value.shape != hidden.shape:
                raise ValueError(f"{name}: shape is {list(value.shape)}, wants {list(hidden.shape)}")
