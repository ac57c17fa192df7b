"""caffe2.python.workspace: the one workspace of the process, and running things in it."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import Message

from caffe2ops.compat import extension
from caffe2ops.compat.python import caffe2_pb2, scope
from caffe2ops.compat.python.blobs import BlobReference

C: Any = extension

# The functions of the C extension that scripts call as they are.
_AS_THEY_ARE = {
    "BenchmarkNet": "benchmark_net",
    "Blobs": "blobs",
    "BenchmarkNetOnce": "benchmark_net_once",
    "CreateBlob": "create_blob",
    "CurrentWorkspace": "current_workspace",
    "DeserializeBlob": "deserialize_blob",
    "GetStats": "get_stats",
    "GlobalInit": "global_init",
    "HasBlob": "has_blob",
    "RegisteredOperators": "registered_operators",
    "ResetBlob": "reset_blob",
    "RootFolder": "root_folder",
    "SerializeBlob": "serialize_blob",
    "SwitchWorkspace": "switch_workspace",
    "Workspaces": "workspaces",
    "has_cuda_support": "has_cuda_support",
    "has_gpu_support": "has_gpu_support",
    "has_hip_support": "has_hip_support",
}
globals().update({name: getattr(C, function) for name, function in _AS_THEY_ARE.items()})
GpuDeviceType = caffe2_pb2.CUDA


def NumCudaDevices() -> int:
    return int(C.num_cuda_devices()) if C.has_cuda_support else 0


NumGpuDevices = NumCudaDevices


class Int8Tensor(NamedTuple):
    """A quantised tensor: real values are scale * (data - zero_point)."""

    data: Any
    scale: float
    zero_point: int


def StringifyProto(obj: Any) -> bytes:
    """What crosses into the engine: the serialized form of a message or of what has a `Proto()`. Raises ValueError."""
    if isinstance(obj, (bytes, str)):
        return obj.encode() if isinstance(obj, str) else obj
    message = obj if isinstance(obj, Message) else obj.Proto() if hasattr(obj, "Proto") else None
    if message is None:
        raise ValueError(f"wants a message or what has a Proto(), got {type(obj).__name__}")
    serialized: bytes = message.SerializeToString()
    return serialized


# --- blobs ---


def FeedBlob(name: Any, arr: Any, device_option: Any = None) -> bool:
    """Puts a copy of an array, str, bytes or TensorProto into a blob, on the device of the current scope unless one is
    given. Names are taken as they are: no scope is put before them."""
    if isinstance(arr, caffe2_pb2.TensorProto):
        from caffe2ops.compat.python.messages import Caffe2TensorToNumpyArray

        arr = Caffe2TensorToNumpyArray(arr)
    if isinstance(arr, np.ndarray) and arr.dtype.kind in "SU":
        arr = arr.astype(object)
    device = device_option if device_option is not None else scope.CurrentDeviceScope()
    return bool(C.feed_blob(str(name), arr, *([StringifyProto(device)] if device is not None else [])))


def FetchBlob(name: Any) -> Any:
    """A copy of a blob's array, or its bytes. Raises TypeError for a quantised tensor."""
    value = C.fetch_blob(str(name))
    if isinstance(value, tuple):
        raise TypeError(f"blob {str(name)!r} is a quantised tensor: FetchInt8Blob fetches it")
    return value


def FetchBlobs(names: Iterable[Any]) -> list[Any]:
    return [FetchBlob(name) for name in names]


def FetchInt8Blob(name: Any) -> Int8Tensor:
    """The quantised tensor that a blob holds. Raises TypeError for anything else."""
    value = C.fetch_blob(str(name))
    if not isinstance(value, tuple):
        raise TypeError(f"blob {str(name)!r} is no quantised tensor: FetchBlob fetches it")
    return Int8Tensor(*value)


def FetchInt8BlobRealVal(name: Any) -> Any:
    """The float32 values that a quantised tensor stands for."""
    data, scale, zero_point = FetchInt8Blob(name)
    return (data.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


class _BlobDict:
    """The blobs as a mapping: `blobs["X"]` fetches, `blobs["X"] = array` feeds."""

    def __getitem__(self, name: Any) -> Any:
        return FetchBlob(name)

    def __setitem__(self, name: Any, value: Any) -> None:
        FeedBlob(name, value)

    def __contains__(self, name: object) -> bool:
        return bool(C.has_blob(str(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(C.blobs())

    def __len__(self) -> int:
        return len(C.blobs())


blobs = _BlobDict()


# --- running ---


def RunOperatorOnce(operator: Any) -> bool:
    return bool(C.run_operator_once(StringifyProto(operator)))


def RunOperatorsOnce(operators: Iterable[Any]) -> bool:
    return all(RunOperatorOnce(operator) for operator in operators)


def RunOperatorMultiple(operator: Any, num_runs: int) -> bool:
    return bool(C.run_operator_multiple(StringifyProto(operator), num_runs))


def RunNetOnce(net: Any) -> bool:
    return bool(C.run_net_once(StringifyProto(net)))


def CreateNet(net: Any, overwrite: bool = False, input_blobs: Sequence[str] = ()) -> bool:
    """Binds a net to the workspace; `input_blobs` are created before. Raises RuntimeError where its name is taken,
    unless `overwrite`."""
    for name in input_blobs or ():
        C.create_blob(str(name))
    return bool(C.create_net(StringifyProto(net), overwrite))


def RunNet(name: Any, num_iter: int = 1, allow_fail: bool = False) -> bool:
    """Runs a created net, given itself or by its name. Raises RuntimeError where an operator fails."""
    return bool(C.run_net(GetNetName(name), num_iter, allow_fail))


def GetNetName(net: Any) -> str:
    return str(net.name if isinstance(net, caffe2_pb2.NetDef) else net)


def RunPlan(plan_or_step: Any) -> bool:
    """Runs a Plan, a PlanDef, or an ExecutionStep."""
    return bool(C.run_plan(_plan(plan_or_step)))


def RunPlanInBackground(plan_or_step: Any) -> Any:
    """Runs a plan on a thread of its own; `is_done()` and `is_succeeded()` tell of it."""
    return C.run_plan_in_background(_plan(plan_or_step))


def _plan(plan_or_step: Any) -> bytes:
    from caffe2ops.compat.python.plan import ExecutionStep, Plan

    return StringifyProto(Plan(plan_or_step) if isinstance(plan_or_step, ExecutionStep) else plan_or_step)


def Predictor(init_net: Any, predict_net: Any) -> Any:
    """A predictor of two nets; its `run` takes a list of arrays, or a mapping from name to array."""
    return C.Predictor(StringifyProto(init_net), StringifyProto(predict_net))


def ResetWorkspace(root_folder: str | None = None) -> bool:
    """Forgets all blobs and nets; a root folder, made where it isn't there, replaces the old one."""
    if root_folder is None:
        return bool(C.reset_workspace(C.root_folder()))
    os.makedirs(root_folder, exist_ok=True)
    return bool(C.reset_workspace(root_folder))


@contextmanager
def WorkspaceGuard(workspace_name: str) -> Iterator[None]:
    """Another workspace inside, made where there is none of that name; back to this one at the end."""
    current = C.current_workspace()
    C.switch_workspace(workspace_name, True)
    try:
        yield
    finally:
        C.switch_workspace(current)


def GetNameScope() -> str:
    return scope.CurrentNameScope()


# --- without running ---


def InferShapesAndTypes(
    nets: Sequence[Any],
    blob_dimensions: Mapping[str, Sequence[int]] | None = None,
    nets_proto: bool = False,
    blob_types: Mapping[str, int] | None = None,
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Shapes and data types by blob, as far as they are known, from those given or from the blobs of the workspace."""
    protos = [StringifyProto(net) for net in nets]
    if blob_dimensions is None:
        found = C.infer_shapes_and_types_from_workspace(protos)
    else:
        types = [] if blob_types is None else [dict(blob_types)]
        found = C.infer_shapes_and_types_from_map(protos, {k: list(v) for k, v in blob_dimensions.items()}, *types)
    known = [shape for shape in caffe2_pb2.TensorShapes.FromString(found).shapes if not shape.unknown_shape]
    return {s.name: list(s.dims) for s in known}, {s.name: s.data_type for s in known}


def GetOperatorCost(operator: Any, blobs: Sequence[Any]) -> Any:
    """What one run of an operator costs on blobs of the workspace."""
    return C.get_operator_cost(StringifyProto(operator), [str(blob) for blob in blobs])


def StringifyBlobName(name: str | BlobReference) -> str:
    return str(name)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"caffe2.python.workspace of caffe2ops has no {name!r}")
