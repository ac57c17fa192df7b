"""InferenceLSTM: stacked LSTM layers in one operator, with PyTorch's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.activation.sigmoid import sigmoid


class InferenceLSTM(Operator):
    """A stack of LSTM layers over a whole sequence, each in one direction or in both; gates in the order input, forget,
    cell, output.

    Raises ValueError for too few inputs and unlike shapes. Caffe2: operators/inference_lstm_op.
    """

    contract = "*inputs: float -> output: inputs[?], hidden: inputs[?], cell: inputs[?]"
    docs = {
        "inputs": "sequence [T, N, I]; hidden and cell states [layers, N, H], with `bidirectional` two a layer; then "
        "for each of these the weights [4 H, I] and [4 H, H] and with `has_biases` the biases [4 H] of both",
        "output": "hidden states of the last layer: [T, N, H], with `bidirectional` both directions beside each other",
        "hidden": "hidden states of all layers after the last step",
        "cell": "cell states of all layers after the last step",
    }
    gradient = NO_GRADIENT
    num_layers: int = Arg(1, ge=1, doc="how many layers")
    has_biases: bool = Arg(True, doc="whether there are biases")
    batch_first: bool = Arg(False, doc="whether sequence and output are [N, T, ...]")
    bidirectional: bool = Arg(False, doc="whether each layer also runs from the last step to the first")

    def infer(self, *inputs: TensorSpec) -> Any:
        if len(inputs) < 3:
            raise ValueError(f"inputs: there are {len(inputs)}, wants a sequence and two states")
        x, states = inputs[0], inputs[1]
        output = TensorSpec((*x.shape[:2], states.shape[2] * (2 if self.bidirectional else 1)), x.dtype)
        return output, TensorSpec(states.shape, x.dtype), TensorSpec(states.shape, x.dtype)

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        self._check([x.shape for x in inputs])
        x, hidden, cell, *params = inputs
        if self.batch_first:
            x = x.transpose(1, 0, 2)
        h, c = (self.out(i, hidden.shape, x.dtype) for i in (1, 2))
        h[...], c[...] = hidden, cell
        directions, each = (2 if self.bidirectional else 1), (4 if self.has_biases else 2)
        for layer in range(self.num_layers):
            outputs = []
            for k in range(layer * directions, (layer + 1) * directions):
                backwards = bool(self.bidirectional and k % 2)
                outputs.append(_pass(x, h[k], c[k], params[k * each : (k + 1) * each], backwards))
            x = outputs[0] if directions == 1 else np.concatenate(outputs, axis=2)
        y = x.transpose(1, 0, 2) if self.batch_first else x
        out = self.out(0, y.shape, y.dtype)
        out[...] = y
        return out, h, c

    def _check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        directions, each = (2 if self.bidirectional else 1), (4 if self.has_biases else 2)
        cells = self.num_layers * directions
        if len(shapes) != 3 + cells * each:
            raise ValueError(
                f"inputs: there are {len(shapes)}, an incorrect number: wants a sequence, two states and {each} "
                f"parameters for each of {cells} cells"
            )
        if len(shapes[0]) != 3 or len(shapes[1]) != 3:
            raise ValueError(f"inputs: sequence and states have shapes {shapes[0]} and {shapes[1]}, wants 3 dims each")
        batch, width = shapes[0][0 if self.batch_first else 1], shapes[0][2]
        size = shapes[1][2]
        wanted: list[tuple[int, ...]] = [(cells, batch, size)] * 2
        for k in range(cells):
            if k == directions:
                width = size * directions
            wanted += [(4 * size, width), (4 * size, size), (4 * size,), (4 * size,)][:each]
        for i, (shape, want) in enumerate(zip(shapes[1:], wanted), 1):
            if shape != want:
                raise ValueError(f"inputs[{i}]: shape is {list(shape)}, wants {list(want)}")


def _pass(x: np.ndarray, h: np.ndarray, c: np.ndarray, params: Sequence[np.ndarray], backwards: bool) -> np.ndarray:
    """One layer in one direction: its hidden states [T, N, H]; `h` and `c` are updated."""
    steps, batch, width = x.shape
    w_x, w_h = params[:2]
    gates = (x.reshape(steps * batch, width) @ w_x.T).reshape(steps, batch, len(w_x))
    for bias in params[2:]:
        gates += bias
    d = h.shape[1]
    output = np.empty((steps, batch, d), x.dtype)
    for t in reversed(range(steps)) if backwards else range(steps):
        z = gates[t]
        z += h @ w_h.T
        s = sigmoid(z[:, : 2 * d])
        c *= s[:, d:]
        c += s[:, :d] * np.tanh(z[:, 2 * d : 3 * d])
        np.multiply(sigmoid(z[:, 3 * d :]), np.tanh(c), out=h)
        output[t] = h
    return output
