"""Steps of recurrent nets."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer


def _over(t: Writer, op: Any, rest: tuple[Tensor, ...]) -> str:
    """The rows whose sequence is over, as source; nothing without lengths."""
    if not op.sequence_lengths:
        return "None"
    lengths, step = rest[:2]
    return f"({lengths} <= {step}).reshape(1, -1, 1)"


@rule("LSTMUnit")
def lstm_unit(t: Writer, op: Any, hidden: Tensor, cell: Tensor, gates: Tensor, *rest: Tensor) -> Several:
    given = (op.forget_bias, bool(op.drop_states))
    return Several(t.call("lstm_unit", hidden, cell, gates, _over(t, op, rest), *given))


@rule("GRUUnit")
def gru_unit(t: Writer, op: Any, hidden: Tensor, gates: Tensor, *rest: Tensor) -> str:
    return t.call("gru_unit", hidden, gates, _over(t, op, rest), bool(op.drop_states))
