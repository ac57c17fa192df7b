"""Definitions put on another device, whatever they say themselves: a net that was saved on a GPU runs on the CPU."""

from __future__ import annotations

from typing import Any, TypeVar

from caffe2ops.defs import DeviceOption, NetDef, OperatorDef, PlanDef

_BETWEEN = ("CopyCPUToGPU", "CopyGPUToCPU")  # within one device they copy as well
Placed = TypeVar("Placed", OperatorDef, NetDef, PlanDef)


def on_device(definition: Placed, device: DeviceOption | None) -> Placed:
    """The same operator, net or plan on a device, with the nets in its arguments; as it is where that is None.

    Operators keep their random seeds where the device gives none.
    """
    if device is None:
        return definition
    if isinstance(definition, PlanDef):
        return definition.replace(network=tuple(on_device(net, device) for net in definition.network))
    changes: dict[str, Any] = {"device_option": _seeded(device, definition.device_option)}
    if isinstance(definition, NetDef):
        own = definition.device_option
        ops = (op if op.device_option or own is None else op.replace(device_option=own) for op in definition.op)
        changes["op"] = tuple(on_device(op, device) for op in ops)
        return definition.replace(**changes)
    if definition.type in _BETWEEN:
        changes["type"] = "Copy"
    if definition.args:
        changes["args"] = {name: _inner(value, device) for name, value in definition.args.items()}
    return definition.replace(**changes)


def _seeded(device: DeviceOption, own: DeviceOption | None) -> DeviceOption:
    if own is None or "random_seed" not in own.model_fields_set or "random_seed" in device.model_fields_set:
        return device
    return device.replace(random_seed=own.random_seed)


def _inner(value: Any, device: DeviceOption) -> Any:
    if isinstance(value, tuple):
        return tuple(_inner(item, device) for item in value)
    return on_device(value, device) if isinstance(value, NetDef) else value
