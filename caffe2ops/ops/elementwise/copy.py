"""Operators that pass a tensor on, and those that say what becomes of its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Operator, Step
from caffe2ops.registry import array_module


class _Copying(Operator):
    """Base: the output is a copy of the first input, of any dtype, strings included."""

    def run_cpu(self, X: Any, *_: Any) -> Any:
        out = self.out(0, X.shape, X.dtype)
        if out is not X:
            out[...] = X
        return out

    run_cuda = run_cpu

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(np.copyto, outputs[0], inputs[0])


class Copy(_Copying):
    """output = input. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "any tensor", "output": "an equal one"}
    gradient = "CopyOnDeviceLike(doutput, input) -> dinput"


class CopyOnDeviceLike(_Copying):
    """output = input, on the device of dst, which is that of the operator. Caffe2: operators/copy_op."""

    contract = "input: any, dst: any -> output: input"
    docs = {
        "input": "any tensor",
        "dst": "a tensor on the device wanted; its values are not looked at",
        "output": "an equal one",
    }


class CopyCPUToGPU(Operator):
    """output = input, from the CPU to the CUDA device that the operator runs on. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on the CPU", "output": "an equal one on the device"}
    input_devices: ClassVar[Any] = {"input": "cpu"}
    gradient = "CopyGPUToCPU(doutput) -> dinput"

    def run_cuda(self, X: Any) -> Any:
        return array_module("cuda").asarray(X)


class CopyGPUToCPU(Operator):
    """output = input, from the CUDA device that the operator runs on to the CPU. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on the device", "output": "an equal one on the CPU"}
    output_devices: ClassVar[Any] = {"output": "cpu"}
    gradient = "CopyCPUToGPU(doutput) -> dinput"

    def run_cuda(self, X: Any) -> Any:
        return X.get()


class CopyFromCPUInput(_Copying):
    """output = input, from the CPU to the device that the operator runs on. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on the CPU", "output": "an equal one on the operator's device"}
    input_devices: ClassVar[Any] = {"input": "cpu"}

    def run_cuda(self, X: Any) -> Any:
        return array_module("cuda").asarray(X)


class EnsureCPUOutput(_Copying):
    """output = input on the CPU, wherever the input is. Caffe2: operators/ensure_cpu_output_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on either device", "output": "an equal one on the CPU"}
    input_devices: ClassVar[Any] = {"input": "any"}
    output_devices: ClassVar[Any] = {"output": "cpu"}
    gradient = NO_GRADIENT

    def run_cuda(self, X: Any) -> Any:
        return X.get() if hasattr(X, "get") else X.copy()


class StopGradient(_Copying):
    """Y = X; no gradient flows back to X. Caffe2: operators/stop_gradient."""

    contract = "X: any -> Y: X"
    docs = {"X": "any tensor", "Y": "an equal one"}
    gradient = NO_GRADIENT
    inplace = ((0, 0),)


class ZeroGradient(Operator):
    """Computes nothing; the gradient of X from here is 0, so that an unused blob has one.

    Caffe2: operators/zero_gradient_op.
    """

    contract = "X: any ->"
    docs = {"X": "any tensor"}
    gradient = "ConstantFill(X, value=0.0) -> dX"

    def run_cpu(self, X: Any) -> None:
        pass

    run_cuda = run_cpu


class Alias(Operator):
    """Output holds the very array of input: what is written to one appears in the other.

    Caffe2: operators/utility_ops.
    """

    contract = "input: any -> output: input"
    docs = {"input": "any tensor", "output": "the same tensor under another name"}
    gradient = "dinput = doutput"

    def run_cpu(self, X: Any) -> Any:
        return X

    run_cuda = run_cpu
