"""caffe2.python.predictor.mobile_exporter: an init net with the parameters' values, and a predict net."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from caffe2ops.compat.python import caffe2_pb2
from caffe2ops.compat.python.messages import MakeArgument
from caffe2ops.compat.python.operators import CreateOperator
from caffe2ops.compat.python.ssa import get_ssa

_FILLS = {
    "float32": "GivenTensorFill",
    "int32": "GivenTensorIntFill",
    "int64": "GivenTensorInt64Fill",
    "uint8": "GivenTensorByteStringToUInt8Fill",
    "object": "GivenTensorStringFill",
}


def _fill(name: str, shape: Any, values: Any, op_type: str) -> Any:
    return CreateOperator(op_type, [], [name], arg=[MakeArgument("shape", shape), MakeArgument("values", values)])


def add_tensor(net: Any, name: str, blob: np.ndarray[Any, Any]) -> None:
    """Appends the operator that writes an array to a NetDef. Raises TypeError for a dtype that has none.

    uint8 is kept as one string of bytes, object arrays as strings.
    """
    if blob.dtype.name not in _FILLS:
        raise TypeError(f"blob {name!r}: {blob.dtype} can't be exported, only {', '.join(_FILLS)}")
    values: Any = [blob.tobytes()] if blob.dtype == np.uint8 else blob
    if blob.dtype == object and not all(isinstance(value, bytes) for value in blob.ravel()):
        raise TypeError(f"blob {name!r}: an object array wants bytes in it")
    net.op.append(_fill(name, blob.shape, values, _FILLS[blob.dtype.name]))


def Export(workspace: Any, net: Any, params: Iterable[Any]) -> tuple[Any, Any]:
    """(init net, predict net): the values of the parameters in the workspace, and the net with what it reads and
    writes as external inputs and outputs. Other inputs are filled with a placeholder."""
    proto = net if isinstance(net, caffe2_pb2.NetDef) else net.Proto()
    init_net, predict_net = caffe2_pb2.NetDef(), caffe2_pb2.NetDef()
    predict_net.CopyFrom(proto)
    names = [str(param) for param in params]
    for name in names:
        add_tensor(init_net, name, workspace.FetchBlob(name))
    ssa, versions = get_ssa(proto)
    read = {name for inputs, _ in ssa for name, _ in inputs}
    inputs = [name for name, version in versions.items() if version == 0 and name not in names]
    init_net.op.extend(_fill(name, [1, 1], [0.0], "GivenTensorFill") for name in inputs)
    predict_net.external_input[:] = dict.fromkeys([*inputs, *proto.external_input])
    predict_net.external_output[:] = [name for name, version in versions.items() if version and name not in read]
    return init_net, predict_net
