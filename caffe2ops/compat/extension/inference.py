"""Shapes, devices and costs without running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caffe2ops import registry
from caffe2ops.compat.extension.definitions import encode, net_of, operator_of
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.compat.extension.workspaces import Workspace
from caffe2ops.defs import (
    DATA_TYPES,
    DataType,
    DeviceOption,
    DeviceType,
    NetDef,
    TensorShape,
    TensorShapes,
    dtype_of,
)
from caffe2ops.infer import TensorSpec, infer_shapes

_TYPES = {name: number for number, name in registry.DEVICES.items()}


@runtime_errors
def infer_shapes_and_types_from_workspace(nets: Sequence[bytes]) -> bytes:
    """A serialized TensorShapes of all blobs that the nets and the current workspace have."""
    engine = Workspace.current.engine
    known = {}
    for name in engine.blobs():
        value = engine.blob(name).value
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            known[name] = TensorSpec(value.shape, value.dtype)
    return _inferred(nets, known)


@runtime_errors
def infer_shapes_and_types_from_map(
    nets: Sequence[bytes],
    blob_dimensions: Mapping[str, Sequence[int]],
    blob_types: Mapping[str, int] | None = None,
) -> bytes:
    """A serialized TensorShapes of all blobs that the nets and the mapping have; types are float where not given."""
    types = blob_types or {}
    known = {
        name: TensorSpec(tuple(dims), dtype_of(types.get(name, DataType.FLOAT)))
        for name, dims in blob_dimensions.items()
    }
    return _inferred(nets, known)


def _inferred(nets: Sequence[bytes], known: Mapping[str, TensorSpec]) -> bytes:
    specs = dict(known)
    for net in nets:
        specs = infer_shapes(net_of(net), specs).specs
    return encode(TensorShapes(shapes=tuple(_shape(name, spec) for name, spec in specs.items())))


def _shape(name: str, spec: TensorSpec) -> TensorShape:
    data_type = DATA_TYPES.get(spec.dtype or np.dtype(np.float32), DataType.UNDEFINED)
    if not spec.known or spec.dtype is None:
        return TensorShape(name=name, data_type=data_type, unknown_shape=True)
    return TensorShape(name=name, dims=spec.shape, data_type=data_type)


@runtime_errors
def get_operator_cost(op_def: bytes, input_blobs: Sequence[str]) -> tuple[int, int, int]:
    """(floating point operations, bytes written, bytes read) of one run on blobs of the current workspace."""
    op, engine = operator_of(op_def), Workspace.current.engine
    arrays = {name: engine.blob(given).value for name, given in zip(op.input, input_blobs)}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{op.type}: blob {name!r} holds no tensor")
    found = infer_shapes(NetDef(op=(op,)), arrays)
    for error in found.errors:
        raise error
    cost = found.steps[0][2]
    return cost.flops or 0, cost.bytes_written or 0, cost.bytes_read or 0


@runtime_errors
def infer_op_input_output_device(op_def: bytes) -> tuple[list[bytes], list[bytes]]:
    """Serialized DeviceOptions: where each input of an operator must be and each output will be."""
    op = operator_of(op_def)
    option = op.device_option or DeviceOption()
    everywhere = [option.device_type] * len(op.input), [option.device_type] * len(op.output)
    try:
        cls = registry.get(op.type)
        if cls.input_devices or cls.output_devices:
            inputs, outputs = cls(op, device=registry.DEVICES[option.device_type]).infer_devices()
            everywhere = (
                [_TYPES.get(name, option.device_type) for name in inputs],
                [_TYPES.get(name, option.device_type) for name in outputs],
            )
    except (ValueError, KeyError):
        pass  # an operator that cannot be created: all on its device
    devices = {kind: encode(_on(option, kind)) for kind in {*everywhere[0], *everywhere[1]}}
    return [devices[kind] for kind in everywhere[0]], [devices[kind] for kind in everywhere[1]]


def _on(option: DeviceOption, kind: int) -> DeviceOption:
    if kind == option.device_type:
        return option
    return DeviceOption() if kind == DeviceType.CPU else option.replace(device_type=kind)
