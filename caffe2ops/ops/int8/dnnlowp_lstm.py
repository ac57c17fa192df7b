"""LSTMUnit of quantised tensors with the arithmetic of engine DNNLOWP."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.int8.arithmetic import LEAST, MOST, F, of_floats
from caffe2ops.ops.int8.dnnlowp_elementwise import TANH, Sigmoid, Tanh
from caffe2ops.ops.int8.fbgemm import FOLLOWED_BY, Output, Scale, engine, floats, rescaled
from caffe2ops.ops.recurrent.lstm_unit import LSTMUnit
from caffe2ops.qtensor import QTensor

TO_SIGMOID, TO_TANH = (Scale(F(FOLLOWED_BY[name]) / F(127), 128) for name in ("Sigmoid", "Tanh"))
PRODUCT = Sigmoid.output.scale * Tanh.output.scale  # the scale of a gate times a tanh


class Unit(Output):
    """One step of an LSTM of quantised tensors, or float32, as LSTMUnit; sigmoid and tanh are looked up.

    Gates that are quantised are taken to have the scale of what is followed by Sigmoid or Tanh, whatever their own.
    `forget_bias` counts at most -1 step or 127 steps, as Caffe2 cuts it. Caffe2:
    quantization/server/lstm_unit_dnnlowp_op.
    """

    Y2_scale: float = Arg(0.0, ge=0, doc="scale of cell; if not given, it follows from the range of the answer")
    Y2_zero_point: int = Arg(0, ge=LEAST, le=MOST, doc="the element that stands for 0 in cell")
    forget_bias: float = Arg(0.0, doc="added to the forget gate before its sigmoid")
    sequence_lengths: bool = Arg(True, choices=(True,), doc="whether the lengths are there; they must be")
    drop_states: bool = Arg(False, doc="whether rows past the end of their sequence become 0 instead of staying")

    @cached_property
    def real(self) -> LSTMUnit:
        return of_floats(self, LSTMUnit)

    @cached_property
    def taken(self) -> Scale:
        """The scale that gates are taken to have."""
        return self.choose(TO_SIGMOID.scale * F(-128), TO_SIGMOID.scale * F(127))

    def run_cpu(self, h_prev: Any, c_prev: Any, gates: Any, lengths: np.ndarray, step: np.ndarray) -> Any:
        h, c = self.activation("hidden_prev", h_prev), self.activation("cell_prev", c_prev)
        x = gates.data.astype(np.int64) if isinstance(gates, QTensor) else self.taken.quantise(floats("gates", gates))
        h_out, c_out = self._scales(h_prev, c_prev, gates, lengths, step)
        x -= self.taken.zero_point
        n, d = c.shape[1:]
        bias = int(np.rint(self.taken.zero_point + self.forget_bias / float(self.taken.scale)).clip(-128, 127))
        x[..., d : 2 * d] += bias - self.taken.zero_point
        to_sigmoid = rescaled(x[..., : 3 * d], self.taken.scale / TO_SIGMOID.scale, TO_SIGMOID).data
        i, f, o = np.split(TANH[to_sigmoid] - Sigmoid.first, 3, axis=2)
        g = TANH[rescaled(x[..., 3 * d :], self.taken.scale / TO_TANH.scale, TO_TANH).data] - Tanh.output.zero_point
        kept = f * (c.data.astype(np.int64) - c.zero_point)
        cell = np.rint(kept.astype(F) * (F(c.scale) / Tanh.output.scale)).astype(np.int64) + i * g
        squashed = TANH[rescaled(cell, PRODUCT / TO_TANH.scale, TO_TANH).data] - Tanh.output.zero_point
        results = []
        over = (lengths <= step.reshape(-1)[0]).reshape(1, n, 1)
        for made, old, to in ((o * squashed, h, h_out), (cell, c, c_out)):
            new = rescaled(made, PRODUCT / to.scale, to).data
            past = rescaled(old.data.astype(np.int64) - old.zero_point, F(old.scale) / to.scale, to).data
            stays = np.uint8(to.zero_point) if self.drop_states else past
            results.append(self.made(QTensor(np.where(over, stays, new), float(to.scale), to.zero_point)))
        return tuple(results)

    def _scales(self, h: Any, c: Any, gates: Any, lengths: np.ndarray, step: np.ndarray) -> tuple[Scale, Scale]:
        """The scales of hidden and cell; raises ValueError for inputs of other shapes."""
        real = self.real.run_cpu(
            floats("hidden_prev", h), floats("cell_prev", c), floats("gates", gates), lengths, step
        )
        given = Scale(F(self.Y2_scale), self.Y2_zero_point) if self.Y2_scale else self.scale_of(real[1])
        return self.given_scale() or self.scale_of(real[0]), given


PORTS: dict[str, Any] = {
    "contract": "hidden_prev: blob, cell_prev: blob, gates: blob, seq_lengths: int32[N], timestep: int32 "
    "-> hidden: blob, cell: blob",
    "docs": {
        name: f"{text}, quantised or float32" if "_" in name or name == "gates" else text
        for name, text in LSTMUnit.docs.items()
    },
}
engine("LSTMUnit", Unit, **PORTS)
row("Int8LSTMUnit", str(Unit.__doc__), Unit, **PORTS)
