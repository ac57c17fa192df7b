"""FC of engine DNNLOWP: quantised or float activations, weights quantised per matrix or per row, or packed ahead."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.int8.arithmetic import F, quantised
from caffe2ops.ops.int8.conv import centred, exact_dtype
from caffe2ops.ops.int8.fbgemm import BY_ROW, ENGINE, SHORT_SUMS, Output, engine, floats, rescaled
from caffe2ops.ops.int8.packed import PackedWeights, Weights, packed_bias
from caffe2ops.ops.shape.axes import canonical_axis
from caffe2ops.qtensor import QTensor


class Int8FCPackWeight(Weights):
    """Weights of FC quantised once, ahead of all runs, and their bias where `in_scale` says the scale of X.

    Raises ValueError where there is a bias and no in_scale. Caffe2: quantization/server/fbgemm_pack_op.
    """

    contract = "W: blob, b?: blob -> W_q: blob, B_q?: blob"
    docs = {
        "W": "weights, float32 or quantised, as a matrix [N, K]",
        "b": "bias [N], float32, or elements of 32 bits",
        "W_q": "weights for FC with engine DNNLOWP",
        "B_q": "the bias as a quantised tensor of 32 bits",
    }
    axis_w: int = Arg(1, doc="dims of W from this one on are joined to K")
    quantize_channelwise: bool = Arg(False, doc="each row of the matrix has a scale of its own")
    save_unpacked_weights: bool = Arg(False, doc="a hint for accelerators; nothing changes here")
    in_scale: float = Arg(0.0, ge=0, doc="scale of X; wanted where there is a bias")
    by_row: ClassVar[bool] = False

    def run_cpu(self, W: Any, b: Any = None) -> Any:
        rows = prod(W.shape[: canonical_axis(self.axis_w, len(W.shape))])
        groups = rows if (self.quantize_channelwise or self.by_row) and not isinstance(W, QTensor) else 1
        packed = self.packed("W", W, groups).as_matrix(rows)
        if b is None:
            if self.n_outputs > 1:
                raise ValueError("b: is missing, wanted for the output B_q")
            return packed
        if not self.in_scale:
            raise ValueError("in_scale: is missing, wants the scale of X, as there is a bias")
        if self.n_outputs > 1 and len(packed.scales) > 1:
            raise ValueError("B_q: is asked for, but each row has a scale of its own")
        bias = packed_bias("b", b, self.in_scale, packed)
        unit = float(F(self.in_scale) * packed.scales[0])
        return PackedWeights(packed.elements, packed.scales, bias), QTensor(bias.astype(np.int32), unit)


class FullyConnected(Output, Weights):
    """Base."""

    by_row: ClassVar[bool] = False
    axis: int = Arg(1, doc="dims of X from this one on are joined to K, those before to M")
    axis_w: int = Arg(1, doc="as axis, for W")
    quantize_channelwise: bool = Arg(False, doc="each row of W has a scale of its own")
    constant_weight: bool = Arg(True, doc="a hint that W stays as it is; nothing changes here")

    def run_cpu(self, X: Any, W: Any, b: Any, qparam: Any = None) -> Any:
        if qparam is not None:
            raise ValueError("Qparam: is given, Y_scale and Y_zero_point are wanted as arguments")
        x = self.activation("X", X)
        axis = canonical_axis(self.axis, len(x.shape))
        width = prod(x.shape[axis:])
        axis_w = 1 if isinstance(W, PackedWeights) else canonical_axis(self.axis_w, len(W.shape))
        rows = prod(W.shape[:axis_w])
        if prod(W.shape[axis_w:]) != width:
            raise ValueError(f"X: has {width} columns, W {prod(W.shape[axis_w:])}")
        by_row = (self.quantize_channelwise or self.by_row) and not isinstance(W, QTensor)
        elements, weights = self.multipliers("W", W, rows if by_row else 1, exact_dtype(width))
        weights = weights.as_matrix(rows)
        shape = (*x.shape[:axis], rows)
        sums = (centred(x, width).reshape(-1, width) @ elements.reshape(rows, width).T).reshape(shape)
        unit = F(x.scale) * weights.scales
        if self.dequantize_output:
            if weights.bias is not None:
                raise ValueError("dequantize_output = True, but W was packed with a quantised bias")
            y: np.ndarray = sums.astype(F) * unit + self._real_bias(b, unit)
            return np.maximum(y, F(0)) if self.relu else y
        bias = packed_bias("b", b, x.scale, weights) if weights.bias is None else weights.bias
        to = self.scale_for(lambda: self._real(X, W, b, rows))
        return rescaled(sums.astype(np.int64) + bias, unit / to.scale, to, self.relu)

    @staticmethod
    def _real_bias(b: Any, unit: np.ndarray) -> np.ndarray:
        return quantised("b", b, np.int32).data.astype(F) * unit if isinstance(b, QTensor) else floats("b", b)

    @staticmethod
    def _real(X: Any, W: Any, b: Any, rows: int) -> np.ndarray:
        """What FC of the real values gives."""
        if isinstance(W, PackedWeights):
            raise ValueError("Y_scale: is missing, wanted where W was packed")
        w = floats("W", W).reshape(rows, -1)
        y: np.ndarray = floats("X", X).reshape(-1, w.shape[1]) @ w.T + floats("b", b)
        return y


DOCS = {
    "X": "as a matrix [M, K], quantised or float32",
    "W": "weights, as a matrix [N, K], quantised, float32 or packed",
    "b": "bias [N], float32, or elements of 32 bits whose scale is that of X times that of W",
    "Qparam": "scale and zero point; not supported",
    "Y": "the dims of X before axis, then N",
}
CONTRACT = "X: blob, W: blob, b: blob, Qparam?: blob -> Y: blob"
RELU = row(
    "Int8FCRelu",
    "FC of quantised tensors, values below 0 as 0, with the arithmetic of engine DNNLOWP. Caffe2: "
    "quantization/server/fully_connected_dnnlowp_op.",
    FullyConnected,
    contract=CONTRACT,
    docs=DOCS,
    relu=True,
)
for _engine in (ENGINE, BY_ROW, SHORT_SUMS):
    for _type in ("FC", "Int8FC"):
        engine(_type, FullyConnected, _engine, contract=CONTRACT, docs=DOCS, by_row=_engine == BY_ROW)
engine("Int8FCRelu", RELU, BY_ROW, by_row=True)
engine("Int8FCPackWeight", Int8FCPackWeight, BY_ROW, by_row=True)
