"""Operator definitions, device options and gradients as caffe2.python.core offers them."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops import registry
from caffe2ops.compat import extension
from caffe2ops.compat.python import caffe2_pb2, scope
from caffe2ops.compat.python.blobs import BlobReference, GradientSlice, references
from caffe2ops.compat.python.messages import MakeArgument
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import UnknownOperator
from caffe2ops.formats.convert import from_message, to_message
from caffe2ops.gradient import GradientSlice as SparseGradient
from caffe2ops.gradient import backward, gradient_of

C: Any = extension


def IsOperator(op_type: str) -> bool:
    try:
        return bool(registry.get(op_type))
    except UnknownOperator:
        return False


def IsGPUDeviceType(device_type: int) -> bool:
    return device_type in (caffe2_pb2.CUDA, caffe2_pb2.HIP)


def DeviceOption(
    device_type: int,
    device_id: int = 0,
    random_seed: int | None = None,
    node_name: str | None = None,
    numa_node_id: int | None = None,
    extra_info: Sequence[str] | None = None,
) -> Any:
    """A DeviceOption message; what is None is left unset."""
    if numa_node_id is not None and device_type != caffe2_pb2.CPU:
        raise AssertionError(f"numa_node_id {numa_node_id}: only CPU devices have one")
    given = dict(node_name=node_name, random_seed=random_seed, numa_node_id=numa_node_id, extra_info=extra_info)
    set_ = {key: value for key, value in given.items() if value is not None}
    return caffe2_pb2.DeviceOption(device_type=device_type, device_id=device_id, **set_)


def CreateOperator(
    operator_type: str,
    inputs: Any,
    outputs: Any,
    name: str = "",
    control_input: Any = None,
    device_option: Any = None,
    arg: Sequence[Any] | None = None,
    engine: str | None = None,
    debug_info: str | None = None,
    **kwargs: Any,
) -> Any:
    """An OperatorDef message; `kwargs` are its arguments. Nothing is checked: running it does that.

    It gets `device_option`, else that of the current DeviceScope; `random_seed` is kept in there. Arguments that are
    None are left out.
    """
    op = caffe2_pb2.OperatorDef(type=operator_type, name=name)
    op.input.extend(map(str, references(inputs)))
    op.output.extend(map(str, references(outputs)))
    op.control_input.extend(map(str, references(control_input or [])))
    device = device_option if device_option is not None else scope.CurrentDeviceScope()
    if device is not None:
        op.device_option.CopyFrom(device)
    if engine is not None:
        op.engine = engine
    if debug_info is not None:
        op.debug_info = debug_info
    if "random_seed" in kwargs:
        op.device_option.random_seed = kwargs.pop("random_seed")
    op.arg.extend(arg or ())
    op.arg.extend(MakeArgument(key, value) for key, value in kwargs.items() if value is not None)
    return op


def register_python(f: Any, grad_f: Any = None, python_func_type: Any = None, pass_workspace: bool = False) -> str:
    """The token under which operators of type Python find a function and its gradient.

    Each is a function or a tuple (function that makes it, args, kwargs); `python_func_type(f)` has methods `forward`
    and `backward`.
    """
    if python_func_type:
        made = python_func_type(f)
        f, grad_f = made.forward, made.backward
    f, grad_f = (g[0](*g[1], **g[2]) if isinstance(g, tuple) else g for g in (f, grad_f))
    token: str = C.register_python_op(f, pass_workspace, "")
    if grad_f:
        C.register_python_gradient_op(token, grad_f)
    return token


def CreatePythonOperator(
    f: Any,
    inputs: Any,
    outputs: Any,
    grad_f: Any = None,
    pass_workspace: bool = False,
    python_func_type: Any = None,
    **kwargs: Any,
) -> Any:
    """The definition of an operator that calls `f(inputs, outputs)`."""
    token = register_python(f, grad_f, python_func_type, pass_workspace)
    return CreateOperator("Python", inputs, outputs, token=token, **kwargs)


class GradientRegistry:
    """The backward pass of operators given as messages."""

    @classmethod
    def GetGradientForOp(cls, op: Any, g_output: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The gradient operators of one operator and the gradients of its inputs (names, GradientSlices or None)."""
        ops, gradients = gradient_of(from_message(op, OperatorDef), [cls._untyped(gradient) for gradient in g_output])
        inputs = [GradientSlice(*g) if isinstance(g, SparseGradient) else g for g in gradients]
        return [to_message(made) for made in ops], inputs

    @classmethod
    def GetBackwardPass(cls, operators: Sequence[Any], ys: Any) -> tuple[list[Any], dict[Any, Any]]:
        """The gradient operators, and the map from blob to its gradient (BlobReference or GradientSlice of two).

        `ys`: the blobs to differentiate, a list (their gradients are ones) or a mapping to the blob of the gradient.
        """
        if isinstance(ys, dict):
            given = {str(y): cls._untyped(gradient) for y, gradient in ys.items()}
        else:
            given = dict.fromkeys(map(str, ys))
        ops, gradients = backward([from_message(op, OperatorDef) for op in operators], given)
        return [to_message(op) for op in ops], {BlobReference(k): cls._typed(g) for k, g in gradients.items()}

    @staticmethod
    def _untyped(gradient: Any) -> Any:
        if isinstance(gradient, tuple):
            return SparseGradient(*map(str, gradient))
        return None if gradient is None else str(gradient)

    @staticmethod
    def _typed(gradient: Any) -> Any:
        if isinstance(gradient, SparseGradient):
            return GradientSlice(*map(BlobReference, gradient))
        return BlobReference(gradient)
