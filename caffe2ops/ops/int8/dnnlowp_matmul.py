"""BatchMatMul of quantised tensors with the arithmetic of engine DNNLOWP."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.int8.arithmetic import F, of_floats
from caffe2ops.ops.int8.conv import centred, exact_dtype
from caffe2ops.ops.int8.fbgemm import Output, engine, floats, rescaled
from caffe2ops.ops.int8.packed import PackedWeights, Weights
from caffe2ops.ops.linalg.matmul import BatchMatMul
from caffe2ops.qtensor import QTensor


class Products(Output, Weights):
    """Products of the matrices of two tensors, quantised or float32, as BatchMatMul.

    Caffe2: quantization/server/batch_matmul_dnnlowp_op.
    """

    trans_a: bool = Arg(False, doc="whether to transpose A's matrices")
    trans_b: bool = Arg(False, doc="whether to transpose B's matrices")
    broadcast: bool = Arg(False, doc="whether leading dims may be missing on one side")
    constant_B: bool = Arg(  # noqa: N815 (Caffe2's name)
        False, doc="B stays as it is: each of its matrices gets a scale of its own"
    )

    @cached_property
    def real(self) -> BatchMatMul:
        return of_floats(self, BatchMatMul)

    def run_cpu(self, A: Any, B: Any) -> Any:
        a = self.activation("A", A)
        depth = A.shape[-2 if self.trans_a and len(A.shape) > 1 else -1]
        b = self._right(B)
        sums = self.real.run_cpu(centred(a, depth), b.elements.astype(exact_dtype(depth)))
        unit = F(a.scale) * (b.scales if b.scales.size == 1 else b.scales.reshape(*b.shape[:-2], 1, 1))
        if self.dequantize_output and self.constant_B:
            return sums.astype(F) * unit
        to = self.scale_for(lambda: self.real.run_cpu(floats("A", A), floats("B", B)))
        return self.made(rescaled(sums, unit / to.scale, to))

    def _right(self, B: Any) -> PackedWeights:
        """B less its zero points."""
        if self.constant_B and not isinstance(B, QTensor) and B.ndim > 1:
            packed = self.packed("B", B.reshape(-1, B.shape[-1]), max(prod(B.shape[:-2]), 1))
            return PackedWeights(packed.elements.reshape(B.shape), packed.scales)
        b = self.activation("B", B)
        return PackedWeights(np.subtract(b.data, b.zero_point, dtype=np.int16), np.full(1, b.scale, F))


PORTS: dict[str, Any] = {
    "contract": "A: blob, B: blob -> Y: blob",
    "docs": {"A": "matrices, quantised or float32", "B": "matrices, quantised or float32", "Y": "their products"},
}
engine("BatchMatMul", Products, **PORTS)
row("Int8BatchMatMul", str(Products.__doc__), Products, **PORTS)
