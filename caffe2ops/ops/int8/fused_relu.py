"""ConvRelu and SumRelu: operators of floats with a Relu behind them, as the quantised ones have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Step
from caffe2ops.ops.conv.conv import FORWARD_DOCS, Conv, Convolution
from caffe2ops.ops.elementwise.nary import Folding, Sum
from caffe2ops.ops.int8.arithmetic import of_floats


class ConvRelu(Convolution):
    """Conv with values below 0 as 0, and without a gradient. Caffe2: quantization/server/conv_relu_op."""

    contract = Conv.contract
    docs = FORWARD_DOCS

    @cached_property
    def conv(self) -> Conv:
        return of_floats(self, Conv)

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return self.conv.infer(*inputs)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return self.conv.cost(inputs, outputs)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        return _with_relu(self.conv.bind(inputs, outputs), outputs[0])


class SumRelu(Folding):
    """Sum with values below 0 as 0, and without a gradient. Caffe2: quantization/server/elementwise_sum_relu_op."""

    contract = "*data_0: float32|float64|int32[...] -> sum: data_0[...]"
    docs = {"data_0": "tensors of one shape", "sum": "a tensor like them"}
    fold = staticmethod(np.add)
    kernel = Sum.kernel

    def run_cpu(self, *tensors: Any) -> Any:
        total = super().run_cpu(*tensors)
        return np.fmax(total, 0, out=total)

    def run_cuda(self, *tensors: Any) -> Any:
        total = super().run_cuda(*tensors)
        return np.fmax(total, 0, out=total)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step | None:
        step = super().bind(inputs, outputs)
        return None if step is None else _with_relu(step, outputs[0])


def _with_relu(step: Callable[[], Any], out: Any) -> Step:
    def run() -> None:
        step()
        np.fmax(out, 0, out=out)

    return run
