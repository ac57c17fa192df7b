"""LSTMUnit: the activations of one time step of an LSTM, and their gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import Cost
from caffe2ops.operator import Arg
from caffe2ops.ops.activation.sigmoid import sigmoid
from caffe2ops.ops.recurrent.unit import Unit

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class LSTMBase(Unit):
    """Base: gates i, f, o, g beside each other, activated by sigmoid and (g) tanh."""

    gates = 4
    forget_bias: float = Arg(0.0, doc="added to the forget gate before its sigmoid")

    def _activated(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """i, f and o beside each other, (N, 3 D), and g, (N, D)."""
        d = x.shape[1] // 4
        if self.forget_bias:
            x = x.copy()
            x[:, d : 2 * d] += x.dtype.type(self.forget_bias)
        return sigmoid(x[:, : 3 * d]), np.tanh(x[:, 3 * d :])

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return Cost(24 * inputs[1].size, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))


class LSTMUnit(LSTMBase):
    """One step of an LSTM without peepholes: c = f c' + i g, h = o tanh(c).

    i, f and o are the sigmoids of their gates, g the tanh. Rows whose sequence is over (step >= length) keep their
    states, or become 0 with `drop_states`. Raises ValueError for unlike shapes. Caffe2: operators/lstm_unit_op.
    """

    contract = (
        "hidden_prev: float[1, N, D], cell_prev: hidden_prev[1, N, D], gates: hidden_prev[1, N, G], "
        "seq_lengths: int32, timestep?: int32 -> hidden: hidden_prev[1, N, D], cell: hidden_prev[1, N, D]"
    )
    docs = {
        "hidden_prev": "hidden state of the step before",
        "cell_prev": "cell state of the step before",
        "gates": "the gates before activation, in the order input, forget, output, cell: G = 4 D",
        "seq_lengths": "length of each row's sequence; without sequence_lengths the step stands here",
        "timestep": "the number of the step, counted from 0",
        "hidden": "hidden state",
        "cell": "cell state",
    }

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        outputs = self.out(0, inputs[0].shape, inputs[0].dtype), self.out(1, inputs[0].shape, inputs[0].dtype)
        self.bind(inputs, outputs)()
        return outputs

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.recurrent import units_cuda

        timing, _ = self._timing(inputs[2], inputs[0], inputs[3:])
        outs = self.out(0, inputs[0].shape, inputs[0].dtype), self.out(1, inputs[0].shape, inputs[0].dtype)
        return units_cuda.lstm_unit(self, inputs[:2], inputs[2], timing, outs)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Callable[[], None]:
        over, _ = self._timed(inputs[2], inputs[0], inputs[3:])
        h_prev, c_prev, x, h, c = (array[0] for array in (*inputs[:3], *outputs))
        d = h.shape[1]

        def step() -> None:
            s, g = self._activated(x)
            g *= s[:, :d]
            np.multiply(s[:, d : 2 * d], c_prev, out=c)
            np.add(c, g, out=c)
            np.tanh(c, out=h)
            np.multiply(h, s[:, 2 * d :], out=h)
            ended = over()
            if ended is not None:
                self._stay(h, h_prev, ended)
                self._stay(c, c_prev, ended)

        return step

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        count = 5 if g.def_.args.get("sequence_lengths", 1) else 4
        inputs = [g.I(i) for i in range(count)] + [g.O(0), g.O(1), g.GO(0), g.GO(1)]
        return [g.op("LSTMUnitGradient", inputs, [g.GI(i) for i in range(3)])]


class LSTMUnitGradient(LSTMBase):
    """The gradient of LSTMUnit; rows whose sequence is over pass the gradients of their states on, or nothing with
    `drop_states`.

    Caffe2: operators/lstm_unit_op.
    """

    contract = (
        "hidden_prev: float[1, N, D], cell_prev: hidden_prev[1, N, D], gates: hidden_prev[1, N, G], "
        "seq_lengths: int32, timestep: any, hidden: any, cell: any, dhidden: any, dcell?: any "
        "-> dhidden_prev: hidden_prev[1, N, D], dcell_prev: hidden_prev[1, N, D], dgates: hidden_prev[1, N, G]"
    )
    docs = {
        "hidden_prev": "hidden state of the step before",
        "cell_prev": "cell state of the step before",
        "gates": "the gates before activation",
        "seq_lengths": "length of each row's sequence; without sequence_lengths all behind move up into its place",
        "timestep": "the number of the step",
        "hidden": "hidden state, the first output of LSTMUnit",
        "cell": "cell state, the second output",
        "dhidden": "gradient of the hidden state",
        "dcell": "gradient of the cell state",
        "dhidden_prev": "gradient of the hidden state before: 0 where the row goes on",
        "dcell_prev": "gradient of the cell state before",
        "dgates": "gradient of the gates",
    }

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        outputs = tuple(self.out(i, inputs[i].shape, inputs[i].dtype) for i in range(3))
        self.bind(inputs, outputs)()
        return outputs

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.recurrent import units_cuda

        timing, states = self._timing(inputs[2], inputs[0], inputs[3:])
        self._check_states(inputs[0], states)
        outs = tuple(self.out(i, inputs[i].shape, inputs[i].dtype) for i in range(3))
        return units_cuda.lstm_gradient(self, inputs[1], inputs[2], timing, states, outs)

    def _check_states(self, hidden_prev: Any, states: Sequence[Any]) -> None:
        if len(states) != 4:
            raise ValueError(f"inputs: {len(states)} of hidden, cell and their gradients are left, wants 4")
        self._like(hidden_prev, list(zip(("hidden", "cell", "dhidden", "dcell"), states)))

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Callable[[], None]:
        over, states = self._timed(inputs[2], inputs[0], inputs[3:])
        self._check_states(inputs[0], states)
        c_prev, x, c, dh, dc, dh_prev, dc_prev, dx = (array[0] for array in (*inputs[1:3], *states[1:], *outputs))
        d = c.shape[1]
        di, df, do, dg = (dx[:, k * d : (k + 1) * d] for k in range(4))

        def step() -> None:
            s, g = self._activated(x)
            i, f, o = s[:, :d], s[:, d : 2 * d], s[:, 2 * d :]
            tanh_c = np.tanh(c)
            slope = 1 - s
            slope *= s
            through = 1 - tanh_c * tanh_c  # becomes the whole gradient of the cell state
            through *= dh
            through *= o
            through += dc
            for gradient, part, one, other in (
                (di, slope[:, :d], through, g),
                (df, slope[:, d : 2 * d], through, c_prev),
                (do, slope[:, 2 * d :], dh, tanh_c),
                (dg, 1 - g * g, through, i),
            ):
                np.multiply(part, one, out=gradient)
                np.multiply(gradient, other, out=gradient)
            np.multiply(through, f, out=dc_prev)
            dh_prev.fill(0)
            ended = over()
            if ended is not None:
                np.copyto(dx, dx.dtype.type(0), where=ended)
                self._stay(dc_prev, dc, ended)
                self._stay(dh_prev, dh, ended)

        return step
