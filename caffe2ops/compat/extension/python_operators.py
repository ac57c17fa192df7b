"""Operators whose work is done by a Python function: Python and PythonGradient. Imported when the first function is
registered, so that they are in the registry of scripts that use them only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from caffe2ops.compat.extension.blobs import Blob, TensorCPU
from caffe2ops.compat.extension.workspaces import Workspace
from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientMaker
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.workspace import Blob as EngineBlob


@dataclass
class Function:
    """A registered function: called with the lists of inputs and outputs, and with the workspace if it wants it."""

    forward: Callable[..., Any]
    pass_workspace: bool
    backward: Callable[..., Any] | None = None


FUNCTIONS: dict[str, Function] = {}


class Python(Operator):
    """Calls a Python function with its inputs and outputs as TensorCPU (as Blob where they hold no tensor).

    Caffe2: python/pybind_state.
    """

    contract = "*inputs?: blob -> *outputs?: blob"
    inplace = "any"
    copy_arguments = True
    part: ClassVar[str] = "forward"
    token: str = Arg(doc="names the function, as register_python_op gave it")
    grad_input_indices: list[int] = Arg((), ge=0, doc="inputs that get a gradient; all where empty")
    grad_output_indices: list[int] = Arg((), ge=0, doc="outputs whose gradients are needed; all where empty")

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        return (TensorSpec(),) * self.n_outputs

    def run_cpu(self, *values: Any) -> tuple[Any, ...]:
        if self.token not in FUNCTIONS:
            raise ValueError(f"token {self.token!r} names no registered function")
        function = FUNCTIONS[self.token]
        call = getattr(function, self.part)
        if call is None:
            raise ValueError(f"the function of token {self.token!r} has no gradient registered")
        extra = (Workspace(engine=self.workspace),) if function.pass_workspace else ()
        call([_handle(blob) for blob in self.inputs], [_handle(blob) for blob in self.outputs], *extra)
        return tuple(blob.value for blob in self.outputs)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        """PythonGradient of all inputs, all outputs, and the gradients of the outputs that are needed."""
        args = g.def_.args
        outputs = _indices(args.get("grad_output_indices"), len(g.def_.output))
        inputs = _indices(args.get("grad_input_indices"), len(g.def_.input))
        given = [*g.def_.input, *g.def_.output, *(g.GO(i) for i in outputs)]
        return [g.op("PythonGradient", given, [g.GI(i) for i in inputs])]


class PythonGradient(Python):
    """Calls the gradient function with inputs, outputs, and gradients of outputs of the forward operator."""

    contract = "*inputs?: blob -> *outputs?: blob"
    part = "backward"


def _handle(blob: EngineBlob) -> TensorCPU | Blob:
    return TensorCPU(blob) if blob.value is None or isinstance(blob.value, np.ndarray) else Blob(blob)


def _indices(given: Any, count: int) -> list[int]:
    return [int(i) for i in given] if given is not None and len(given) else list(range(count))


def add(function: Callable[..., Any], pass_workspace: bool, name: str) -> str:
    """Registers a function and gives its token."""
    token = f"{name or getattr(function, '__name__', 'function')}:{len(FUNCTIONS)}"
    FUNCTIONS[token] = Function(function, pass_workspace)
    return token


def add_gradient(token: str, function: Callable[..., Any]) -> None:
    """Gives a registered function its gradient. Raises RuntimeError for an unknown token."""
    if token not in FUNCTIONS:
        raise RuntimeError(f"token {token!r} names no registered function")
    FUNCTIONS[token].backward = function
