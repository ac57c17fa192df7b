"""Sums of two quantised tensors: Int8Add, Int8Sum, and with a Relu behind them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import row
from caffe2ops.ops.int8.arithmetic import F, Int8, added, clamped, quantised, ratio
from caffe2ops.ops.shape.axes import wants_same
from caffe2ops.qtensor import QTensor

SMALLEST, LIMIT = 2.0**-14, 2.0**8  # of an input's scale by the output's


class Addition(Int8):
    """Base. Each input is scaled to the output's scale; with `relu` values below 0 become 0."""

    relu: ClassVar[bool] = False
    inplace = ((0, 0), (1, 0))

    def run_cpu(self, *inputs: Any) -> QTensor:
        if len(inputs) != 2:
            raise ValueError(f"inputs: there are {len(inputs)}, wants 2")
        a, b = (quantised(f"input {i}", x) for i, x in enumerate(inputs))
        wants_same("input 0", a.shape, "input 1", b.shape)
        scales = [
            ratio(F(x.scale) / F(self.Y_scale), SMALLEST, LIMIT, f"scale of {n} / Y_scale")
            for n, x in zip("AB", (a, b))
        ]
        of_a, of_b = (np.subtract(x.data, x.zero_point, dtype=np.int64) for x in (a, b))
        return self.made(clamped(added(of_a, of_b, scales[0], scales[1]), self.Y_zero_point, self.relu))


for _name, _inputs in (("Add", "A: blob, B: blob"), ("Sum", "*inputs: blob")):
    for _relu in (False, True):
        row(
            f"Int8{_name}{'Relu' * _relu}",
            f"The sum of two quantised tensors of one shape{', values below 0 as 0' * _relu}. Raises ValueError for "
            "another number of them and for scales that lie too far apart. Caffe2: operators/quantized/int8_add_op.",
            Addition,
            contract=f"{_inputs} -> {'C' if _name == 'Add' else 'Y'}: blob",
            docs=dict.fromkeys(("A", "B", "inputs"), "quantised tensors") | dict.fromkeys("CY", "their sum"),
            relu=_relu,
        )
