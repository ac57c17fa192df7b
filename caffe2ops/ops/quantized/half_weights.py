"""Fully connected layers whose weights are rounded to float16 once, ahead of all runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.shape.axes import canonical_axis

GREATEST = np.finfo(np.float16).max


@dataclass(frozen=True)
class PackedWeights:
    """What FbGemmPack makes: float32 [N, K] of values that float16 holds."""

    matrix: np.ndarray


class Pack(Operator):
    """Base; `transposed`: X is [K, N]."""

    transposed: ClassVar[bool] = False
    inplace = ((0, 0),)
    axis_w: int = Arg(1, doc="the dims of X from this one on are joined, and those before it")
    no_packing: bool = Arg(False, doc="a hint on the layout in memory; nothing changes here")

    def run_cpu(self, x: np.ndarray) -> PackedWeights:
        axis = canonical_axis(self.axis_w, x.ndim)
        matrix = x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))
        matrix = matrix.clip(-GREATEST, GREATEST).astype(np.float16).astype(np.float32)
        return PackedWeights(np.ascontiguousarray(matrix.T) if self.transposed else matrix)


for _name, _dims in (("FbGemmPack", "[N, K]"), ("FbGemmPackTranspose", "[K, N]")):
    row(
        _name,
        f"The weights of FbFCPacked, rounded to float16, from a matrix {_dims}. Caffe2: "
        "quantization/server/fbgemm_fp16_pack_op.",
        Pack,
        contract="X: float32 -> Y: blob",
        docs={"X": f"weights, as a matrix {_dims}", "Y": "weights for FbFCPacked"},
        transposed=_name.endswith("Transpose"),
    )


class FbFCPacked(Operator):
    """Y = X W^T + b with W rounded to float16; sums are float32.

    Y has X's dims before `axis`, and N. Raises TypeError where W is none of FbGemmPack, ValueError where W or b don't
    fit. Caffe2: quantization/server/fb_fc_packed_op.
    """

    contract = "X: float32, W: blob, b: float32[N] -> Y: float32[?]"
    docs = {
        "X": "as a matrix [M, K]",
        "W": "weights that FbGemmPack made",
        "b": "bias",
        "Y": "the dims of X before axis, then N",
    }
    axis: int = Arg(1, doc="the dims of X from this one on are joined")
    axis_w: int = Arg(1, doc="nothing depends on it: the weights are a matrix already")

    def infer(self, x: TensorSpec, w: TensorSpec, b: TensorSpec) -> TensorSpec:
        return TensorSpec((*x.shape[: canonical_axis(self.axis, x.ndim)], b.shape[0]), x.dtype)

    def run_cpu(self, x: np.ndarray, w: Any, b: np.ndarray) -> np.ndarray:
        if not isinstance(w, PackedWeights):
            raise TypeError(f"W: holds {type(w).__name__}, wants weights that FbGemmPack made")
        axis = canonical_axis(self.axis, x.ndim)
        wanted, width = w.matrix.shape[::-1], prod(x.shape[axis:])
        if (width, len(b)) != wanted:
            raise ValueError(f"W: is {wanted[1]} x {wanted[0]}, X has {width} columns and b {len(b)} elements")
        y: np.ndarray = self.out(0, (*x.shape[:axis], len(b)), np.float32)
        out = y.reshape(prod(x.shape[:axis]), len(b))
        np.matmul(x.reshape(len(out), width), w.matrix.T, out=out)
        out += b
        return y
