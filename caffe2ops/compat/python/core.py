"""caffe2.python.core: nets, blobs, operators, scopes and plans in one place."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops.compat import extension
from caffe2ops.compat.python import caffe2_pb2, scope
from caffe2ops.compat.python.blobs import BlobReference, GradientSlice, ScopedBlobReference, ScopedName
from caffe2ops.compat.python.net import Net
from caffe2ops.compat.python.operators import (
    CreateOperator,
    CreatePythonOperator,
    DeviceOption,
    GradientRegistry,
    IsGPUDeviceType,
    IsOperator,
)
from caffe2ops.compat.python.plan import (
    ExecutionStep,
    Plan,
    execution_step,
    get_net_name,
    scoped_execution_step,
    to_execution_step,
)
from caffe2ops.compat.python.ssa import get_ssa, get_undefined_blobs

C: Any = extension

__all__ = [
    "BlobReference",
    "C",
    "CreateOperator",
    "CreatePythonOperator",
    "DataType",
    "DeviceOption",
    "DeviceScope",
    "ExecutionStep",
    "GetGlobalInitArgs",
    "GlobalInit",
    "GradientRegistry",
    "GradientSlice",
    "InferBlobDevices",
    "InferOpBlobDevices",
    "InferOpBlobDevicesAsDict",
    "IsGPUDeviceType",
    "IsOperator",
    "IsOperatorWithEngine",
    "NameScope",
    "Net",
    "Plan",
    "RefreshRegisteredOperators",
    "ScopedBlobReference",
    "ScopedName",
    "SetEnginePref",
    "SetGlobalEnginePref",
    "SetOpEnginePref",
    "SetPerOpEnginePref",
    "device_equal",
    "execution_step",
    "get_net_name",
    "get_ssa",
    "get_undefined_blobs",
    "output_to_list",
    "remap_input",
    "scope",
    "scoped_execution_step",
    "to_execution_step",
]

DeviceScope = scope.DeviceScope
NameScope = scope.NameScope
SetEnginePref = C.set_engine_pref
SetGlobalEnginePref = C.set_global_engine_pref
SetOpEnginePref = C.set_op_engine_pref
SetPerOpEnginePref = C.set_per_op_engine_pref

# TensorProto.DataType, its values as attributes.
DataType: Any = type("DataType", (), dict(caffe2_pb2.TensorProto.DataType.items()))

_global_init_args: list[str] = []


def GlobalInit(args: Sequence[str]) -> Any:
    """Takes the command line, whose flags of Caffe2's start with --caffe2_. Once or often: nothing depends on it."""
    _global_init_args.extend(args[1:])
    return C.global_init(list(args))


def GetGlobalInitArgs() -> list[str]:
    return list(_global_init_args)


def RefreshRegisteredOperators(trigger_lazy: bool = True) -> None:
    """Does nothing: new operators are known at once."""


def InferBlobDevices(net: Net) -> dict[str, Any]:
    """The DeviceOption of the operator that writes each blob last."""
    return {name: op.device_option for op in net.Proto().op for name in op.output}


def InferOpBlobDevices(op: Any) -> tuple[list[Any], list[Any]]:
    """The DeviceOptions of an operator's inputs and of its outputs: copies between devices have two."""
    devices = C.infer_op_input_output_device(op.SerializeToString())
    inputs, outputs = ([caffe2_pb2.DeviceOption.FromString(device) for device in side] for side in devices)
    return inputs, outputs


def InferOpBlobDevicesAsDict(op: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same by the names of the blobs."""
    inputs, outputs = InferOpBlobDevices(op)
    return dict(zip(op.input, inputs)), dict(zip(op.output, outputs))


def IsOperatorWithEngine(op_type: str, engine: str) -> bool:
    return C.op_registry_key(op_type, engine) in C.registered_operators()


def device_equal(src: Any, dst: Any) -> bool:
    """Whether two DeviceOptions mean the same device."""
    return bool(src.device_type == dst.device_type and src.device_id == dst.device_id)


def output_to_list(op_output: Any) -> list[BlobReference]:
    """What a net's method gave, as a list also for one output."""
    return [op_output] if isinstance(op_output, BlobReference) else list(op_output)


def remap_input(op: Any, blob_name_remapping: dict[str, str]) -> None:
    """Renames inputs of an operator."""
    op.input[:] = [blob_name_remapping.get(name, name) for name in op.input]
