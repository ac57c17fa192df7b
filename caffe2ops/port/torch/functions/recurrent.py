"""Steps of recurrent nets."""

from __future__ import annotations

import torch
from torch import Tensor


def staying(new: Tensor, old: Tensor, over: Tensor | None, drop: bool) -> Tensor:
    """Rows whose sequence is over stay as they were, or become 0."""
    if over is None:
        return new
    return torch.where(over, torch.zeros_like(old) if drop else old, new)


def lstm_unit(
    hidden: Tensor,
    cell: Tensor,
    gates: Tensor,
    over: Tensor | None,
    forget_bias: float,
    drop: bool,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM; gates in the order input, forget, output, cell."""
    i, f, o, g = gates.chunk(4, -1)
    c = (f + forget_bias).sigmoid() * cell + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return staying(h, hidden, over, drop), staying(c, cell, over, drop)


def gru_unit(
    hidden: Tensor,
    gates: Tensor,
    over: Tensor | None,
    drop: bool,
) -> Tensor:
    """One step of a GRU; gates in the order reset, update, output."""
    _, update, output = gates.chunk(3, -1)
    update = update.sigmoid()
    h = output.tanh() * (1 - update) + update * hidden
    return staying(h, hidden, over, drop)


def begun(initial: Tensor, x: Tensor) -> Tensor:
    """A state with its first rows [L, N, D], and zeros for all steps of x."""
    rows = initial if initial.dim() == 3 else initial.expand(1, x.shape[1], -1)
    return torch.cat((rows, rows.new_zeros(x.shape[0], *rows.shape[1:])))


def put_rows(state: Tensor, first: int, rows: Tensor) -> Tensor:
    """The state with other rows from the first on."""
    return torch.cat((state[:first], rows, state[first + len(rows) :]))
