"""Operators whose work is done by a Python function: Python, PythonDLPack and their gradients.

Imported by `compat.install` and when a function is registered: the registry of caffe2ops itself has none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from caffe2ops.compat.extension.blobs import Blob, DLPackTensorCPU, TensorCPU
from caffe2ops.compat.extension.errors import FunctionError
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


class Calling(Operator):
    """Base of the operators here: calls one part of a registered function, with its blobs."""

    inplace = "any"
    part: ClassVar[str] = "forward"
    tensor: ClassVar[type[TensorCPU]] = TensorCPU
    token: str = Arg("", doc="names the function, as register_python_op gave it")
    pickled_builder: bytes = Arg(b"", doc="a pickled function: refused")
    pickled_grad_builder: bytes = Arg(b"", doc="a pickled function: refused")
    pass_workspace: bool = Arg(False, doc="belongs to a pickled function")
    grad_input_indices: list[int] = Arg((), ge=0, doc="inputs that get a gradient; all where empty")
    grad_output_indices: list[int] = Arg((), ge=0, doc="outputs whose gradients are needed; all where empty")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.pickled_builder:
            raise ValueError(
                "pickled_builder: holds a pickled function, which is refused, as a net from elsewhere could run "
                "anything; give net.Python the function itself"
            )

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
        inputs, outputs = ([self._handle(blob) for blob in blobs] for blobs in (self.inputs, self.outputs))
        try:
            call(inputs, outputs, *extra)
        except Exception as error:
            raise FunctionError(f"{type(error).__name__}: {error}") from error
        return tuple(blob.value for blob in self.outputs)

    def _handle(self, blob: EngineBlob) -> TensorCPU | Blob:
        return self.tensor(blob) if blob.value is None or isinstance(blob.value, np.ndarray) else Blob(blob)


class Python(Calling):
    """Calls a Python function with its inputs and outputs as TensorCPU (as Blob where they hold no tensor).

    Caffe2: python/pybind_state.
    """

    contract = "*inputs?: blob -> *outputs?: blob"

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        """The gradient operator gets all inputs, all outputs, and the gradients of the outputs that are needed."""
        args = g.def_.args
        outputs = _indices(args.get("grad_output_indices"), len(g.def_.output))
        inputs = _indices(args.get("grad_input_indices"), len(g.def_.input))
        given = [*g.def_.input, *g.def_.output, *(g.GO(i) for i in outputs)]
        return [g.op(f"{cls.type}Gradient", given, [g.GI(i) for i in inputs])]


class PythonGradient(Calling):
    """Calls the gradient function with inputs, outputs, and gradients of outputs of the forward operator."""

    contract = Python.contract
    part = "backward"


class PythonDLPack(Python):
    """Python, with the tensors as DLPackTensorCPU. Caffe2: python/pybind_state."""

    contract = Python.contract
    tensor = DLPackTensorCPU


class PythonDLPackGradient(PythonGradient):
    """PythonGradient, with the tensors as DLPackTensorCPU. Caffe2: python/pybind_state."""

    contract = Python.contract
    tensor = DLPackTensorCPU


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
