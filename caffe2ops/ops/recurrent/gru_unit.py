"""GRUUnit: the activations of one time step of a GRU, and their gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import Cost
from caffe2ops.ops.activation.sigmoid import sigmoid
from caffe2ops.ops.recurrent.unit import Unit

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class GRUBase(Unit):
    """Base: gates reset, update, output beside each other; the reset gate has been applied already."""

    gates = 3

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        return Cost(12 * inputs[0].size, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))


class GRUUnit(GRUBase):
    """One step of a GRU: h = u h' + (1 - u) tanh(o), with u = sigmoid of the update gate.

    Rows whose sequence is over (step >= length) keep their state, or become 0 with `drop_states`. Raises ValueError for
    unlike shapes. Caffe2: operators/gru_unit_op.
    """

    contract = (
        "hidden_prev: float[1, N, D], gates: hidden_prev[1, N, G], seq_lengths: int32, timestep?: int32 "
        "-> hidden: hidden_prev[1, N, D]"
    )
    docs = {
        "hidden_prev": "hidden state of the step before",
        "gates": "the gates before activation, in the order reset, update, output: G = 3 D; reset is not looked at",
        "seq_lengths": "length of each row's sequence; without sequence_lengths the step stands here",
        "timestep": "the number of the step, counted from 0",
        "hidden": "hidden state",
    }

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        hidden = self.out(0, inputs[0].shape, inputs[0].dtype)
        self.bind(inputs, (hidden,))()
        return hidden

    def run_cuda(self, hidden_prev: Any, gates: Any, *rest: Any) -> Any:
        from caffe2ops.ops.recurrent import units_cuda

        timing, _ = self._timing(gates, hidden_prev, rest)
        hidden = self.out(0, hidden_prev.shape, hidden_prev.dtype)
        return units_cuda.gru_unit(self, hidden_prev, gates, timing, hidden)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Callable[[], None]:
        over, _ = self._timed(inputs[1], inputs[0], inputs[2:])
        h_prev, x, h = inputs[0][0], inputs[1][0], outputs[0][0]
        d = h.shape[1]

        def step() -> None:
            update = sigmoid(x[:, d : 2 * d])
            np.tanh(x[:, 2 * d :], out=h)
            np.multiply(h, 1 - update, out=h)
            update *= h_prev
            np.add(h, update, out=h)
            ended = over()
            if ended is not None:
                self._stay(h, h_prev, ended)

        return step

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        count = 4 if g.def_.args.get("sequence_lengths", 1) else 3
        inputs = [g.I(i) for i in range(count)] + [g.O(0), g.GO(0)]
        return [g.op("GRUUnitGradient", inputs, [g.GI(0), g.GI(1)])]


class GRUUnitGradient(GRUBase):
    """The gradient of GRUUnit; rows whose sequence is over pass the gradient on, or nothing with `drop_states`.

    Caffe2: operators/gru_unit_op.
    """

    contract = (
        "hidden_prev: float[1, N, D], gates: hidden_prev[1, N, G], seq_lengths: int32, timestep: any, hidden: any, "
        "dhidden?: any -> dhidden_prev: hidden_prev[1, N, D], dgates: hidden_prev[1, N, G]"
    )
    docs = {
        "hidden_prev": "hidden state of the step before",
        "gates": "the gates before activation",
        "seq_lengths": "length of each row's sequence; without sequence_lengths all behind move up into its place",
        "timestep": "the number of the step",
        "hidden": "hidden state, the output of GRUUnit",
        "dhidden": "its gradient",
        "dhidden_prev": "gradient of the hidden state before",
        "dgates": "gradient of the gates; 0 for the reset gate",
    }

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        outputs = tuple(self.out(i, inputs[i].shape, inputs[i].dtype) for i in range(2))
        self.bind(inputs, outputs)()
        return outputs

    def run_cuda(self, hidden_prev: Any, gates: Any, *rest: Any) -> Any:
        from caffe2ops.ops.recurrent import units_cuda

        timing, states = self._timing(gates, hidden_prev, rest)
        self._check_states(hidden_prev, states)
        outs = self.out(0, hidden_prev.shape, gates.dtype), self.out(1, gates.shape, gates.dtype)
        return units_cuda.gru_gradient(self, hidden_prev, gates, timing, states[1], outs)

    def _check_states(self, hidden_prev: Any, states: Sequence[Any]) -> None:
        if len(states) != 2:
            raise ValueError(f"inputs: {len(states)} of hidden and its gradient are left, wants 2")
        self._like(hidden_prev, list(zip(("hidden", "dhidden"), states)))

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Callable[[], None]:
        over, states = self._timed(inputs[1], inputs[0], inputs[2:])
        self._check_states(inputs[0], states)
        h_prev, x, dh, dh_prev, dx = (array[0] for array in (*inputs[:2], states[1], *outputs))
        d = dh.shape[1]

        def step() -> None:
            update, output = sigmoid(x[:, d : 2 * d]), np.tanh(x[:, 2 * d :])
            rest = 1 - update
            kept = np.multiply(dh, update, out=dh_prev)
            dx[:, :d] = 0
            np.multiply(kept * (h_prev - output), rest, out=dx[:, d : 2 * d])
            np.multiply(dh * (1 - output * output), rest, out=dx[:, 2 * d :])
            ended = over()
            if ended is not None:
                np.copyto(dx, dx.dtype.type(0), where=ended)
                self._stay(dh_prev, dh, ended)

        return step
