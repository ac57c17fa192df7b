"""Operators that pass a tensor on, and those that say what becomes of its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe2ops.gradient_rules import GradientSlice
from caffe2ops.operator import NO_GRADIENT, Arg, Operator, Step
from caffe2ops.registry import array_module

if TYPE_CHECKING:
    from caffe2ops.defs import OperatorDef
    from caffe2ops.gradient_rules import GradientMaker


class Copying(Operator):
    """Base: the output is a copy of the first input, of any dtype, strings included."""

    def run_cpu(self, X: Any, *_: Any) -> Any:
        out = self.out(0, X.shape, X.dtype)
        if out is not X:
            out[...] = X
        return out

    run_cuda = run_cpu

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(np.copyto, outputs[0], inputs[0])


class Copy(Copying):
    """output = input. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "any tensor", "output": "an equal one"}
    gradient = "CopyOnDeviceLike(doutput, input) -> dinput"


class CopyOnDeviceLike(Copying):
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


class CopyFromCPUInput(Copying):
    """output = input, from the CPU to the device that the operator runs on. Caffe2: operators/copy_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on the CPU", "output": "an equal one on the operator's device"}
    input_devices: ClassVar[Any] = {"input": "cpu"}

    def run_cuda(self, X: Any) -> Any:
        return array_module("cuda").asarray(X)


class EnsureCPUOutput(Copying):
    """output = input on the CPU, wherever the input is. Caffe2: operators/ensure_cpu_output_op."""

    contract = "input: any -> output: input"
    docs = {"input": "a tensor on either device", "output": "an equal one on the CPU"}
    input_devices: ClassVar[Any] = {"input": "any"}
    output_devices: ClassVar[Any] = {"output": "cpu"}
    gradient = NO_GRADIENT

    def run_cuda(self, X: Any) -> Any:
        return X.get() if hasattr(X, "get") else X.copy()


class StopGradient(Copying):
    """Y = X; no gradient flows back to X. Caffe2: operators/stop_gradient."""

    contract = "X: any -> Y: X"
    docs = {"X": "any tensor", "Y": "an equal one"}
    gradient = NO_GRADIENT
    inplace = ((0, 0),)


class NegateGradient(Copying):
    """Y = X; on the way back the gradient changes its sign. Caffe2: operators/negate_gradient_op."""

    contract = "X: any -> Y: X"
    docs = {"X": "any tensor", "Y": "a copy"}
    inplace = [(0, 0)]
    gradient = "Negative(dY) -> dX"


class EnsureDense(Copy):
    """output = input; a sparse gradient of output becomes a dense one of input. Caffe2: operators/utility_ops."""

    contract = "input: any -> output: input"
    gradient = None  # type: ignore[assignment]  # see make_gradient
    inplace = ((0, 0),)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        if isinstance(g.output_gradients[0], GradientSlice):
            return [g.op("SparseToDense", (g.GO_indices(0), g.GO_values(0), g.I(0)), (g.GI(0),))]
        g.set_dense(0, g.GO(0))
        return []


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


class AliasWithName(Alias):
    """Alias whose argument `name` says what the tensor means: output holds the very array of input.

    Caffe2: operators/alias_with_name.
    """

    contract = "input: any -> output: input"
    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    inplace = ((0, 0),)
    name: str = Arg("", doc="what the tensor means; not read")
    is_backward: bool = Arg(False, doc="whether it belongs to a backward pass; not read")
