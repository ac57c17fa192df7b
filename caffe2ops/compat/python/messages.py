"""caffe2.python.utils: arguments and tensors as protobuf messages, and what optimisers share."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from caffe2ops import defs
from caffe2ops.compat.python import caffe2_pb2
from caffe2ops.formats.convert import from_message, to_message
from caffe2ops.formats.tensors import array_to_tensor, tensor_to_array

OPTIMIZER_ITERATION_NAME = "optimizer_iteration"
ITERATION_MUTEX_NAME = "iteration_mutex"

# What a list of values is kept in: (types of the values, field, how one is written). An empty list goes to the first.
_LISTS: tuple[tuple[Any, str, Any], ...] = (
    ((float, np.floating), "floats", float),
    ((int, np.integer, np.bool_), "ints", int),
    ((bytes, str), "strings", lambda v: v.encode() if isinstance(v, str) else v),
    (caffe2_pb2.NetDef, "nets", lambda v: v),
    (Message, "strings", lambda v: v.SerializeToString()),
)


def MakeArgument(key: str, value: Any) -> Any:
    """The Argument of that name; the type of the value says which field it goes to. Raises ValueError."""
    argument = caffe2_pb2.Argument(name=key)
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        argument.f = value
    elif isinstance(value, int):
        argument.i = int(value)
    elif isinstance(value, (bytes, str)):
        argument.s = value.encode() if isinstance(value, str) else value
    elif isinstance(value, caffe2_pb2.NetDef):
        argument.n.CopyFrom(value)
    elif isinstance(value, Message):
        argument.s = value.SerializeToString()
    elif isinstance(value, Iterable):
        items = list(value)
        for types, field, write in _LISTS:
            if all(isinstance(item, types) for item in items):
                getattr(argument, field).extend(map(write, items))
                return argument
        kinds = ", ".join(sorted({type(item).__name__ for item in items}))
        raise ValueError(f"argument {key!r}: a list of {kinds} fits no field of an Argument")
    else:
        raise ValueError(f"argument {key!r}: {type(value).__name__} fits no field of an Argument")
    return argument


def ArgsToDict(args: Iterable[Any]) -> dict[str, Any]:
    """The arguments as a mapping from name to the value that is set, None for one without."""
    found = {}
    for arg in args:
        if arg.HasField("name"):
            values = [value for field, value in arg.ListFields() if field.name != "name"]
            found[arg.name] = values[0] if values else None
    return found


def Caffe2TensorToNumpyArray(tensor: Any) -> Any:
    """The array of a TensorProto. Raises ValueError where the message is not well formed."""
    return tensor_to_array(from_message(tensor, defs.TensorProto)).copy()


def NumpyArrayToCaffe2Tensor(arr: np.ndarray[Any, Any], name: str | None = None) -> Any:
    """The TensorProto of an array: its dims, data type and elements, and the name. Raises TypeError."""
    tensor = to_message(array_to_tensor(np.asarray(arr), name or ""))
    for field in ("segment", "device_detail", "data_format", *([] if name else ["name"])):
        tensor.ClearField(field)
    return tensor


def TryReadProtoWithClass(cls: Any, s: Any) -> Any:
    """The message in a text or binary file's content. Raises DecodeError."""
    message = cls()
    try:
        text_format.Parse(s, message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        if isinstance(s, str):
            raise DecodeError(f"the text is no {cls.__name__}: {error}") from None
        message.Clear()
        message.ParseFromString(s)
    return message


def GetContentFromProto(obj: Any, function_map: Mapping[Any, Any]) -> Any:
    """What the function for the class of `obj` gives for it; None where there is none."""
    function = function_map.get(type(obj))
    return function(obj) if function else None


def GetContentFromProtoString(s: Any, function_map: Mapping[Any, Any]) -> Any:
    """What the function of the first class that can read `s` gives for it. Raises DecodeError."""
    for cls, function in function_map.items():
        try:
            return function(TryReadProtoWithClass(cls, s))
        except DecodeError:
            continue
    raise DecodeError(f"the content is none of {', '.join(cls.__name__ for cls in function_map)}")


def NHWC2NCHW(tensor: Any) -> Any:
    return np.moveaxis(tensor, -1, 1)


def NCHW2NHWC(tensor: Any) -> Any:
    return np.moveaxis(tensor, 1, -1)


def BuildUniqueMutexIter(
    init_net: Any, net: Any, iter: str | None = None, iter_mutex: str | None = None, iter_val: int = 0
) -> Any:
    """The iteration counter of a net, counted up under a mutex; made with its operators where it isn't there yet."""
    from caffe2ops.compat.python import core

    iter = iter or OPTIMIZER_ITERATION_NAME
    if init_net.BlobIsDefined(iter):
        return init_net.GetBlobRef(iter)
    cpu = core.DeviceOption(caffe2_pb2.CPU, extra_info=["device_type_override:cpu"])
    with core.DeviceScope(cpu):
        counter = init_net.ConstantFill([], iter, shape=[1], value=iter_val, dtype=caffe2_pb2.TensorProto.INT64)
        mutex = init_net.CreateMutex([], [iter_mutex or ITERATION_MUTEX_NAME])
        net.AtomicIter([mutex, counter], [counter])
    return counter
