"""caffe2.python.scope: the name and device that operators made inside `with` blocks get; each thread has its own."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from caffe2ops.compat.python import caffe2_pb2

_NAMESCOPE_SEPARATOR = "/"


class _Scopes(threading.local):
    name = ""
    device: Any = None


_current = _Scopes()


@contextmanager
def _set(**values: Any) -> Iterator[None]:
    old = {key: getattr(_current, key) for key in values}
    vars(_current).update(values)
    try:
        yield
    finally:
        vars(_current).update(old)


def CurrentNameScope() -> str:
    """What names get in front of them, with its closing slash; "" outside any scope."""
    return _current.name


def CurrentDeviceScope() -> Any:
    """The DeviceOption that operators get, or None."""
    return _current.device


def NameScope(prefix: str | None, reset: bool = False) -> Any:
    """Puts `prefix/` before the names of blobs given as strings, after that of outer scopes unless `reset`."""
    if prefix is not None and not isinstance(prefix, str):
        raise AssertionError(f"prefix: wants a string, got {type(prefix).__name__}")
    own = prefix + _NAMESCOPE_SEPARATOR if prefix else ""
    return _set(name=own if reset else _current.name + own)


def DeviceScope(scope: Any, node_name: str | None = None) -> Any:
    """Gives operators this DeviceOption. The node's name is taken from the outer scope where this one has none; the
    extra infos of both are joined."""
    if not scope and not node_name:
        raise AssertionError("wants a DeviceOption or the name of a node")
    option = caffe2_pb2.DeviceOption()
    if scope:
        if not isinstance(scope, caffe2_pb2.DeviceOption):
            raise AssertionError(f"scope: wants a DeviceOption, got {type(scope).__name__}")
        option.CopyFrom(scope)
    if node_name:
        option.node_name = node_name
    outer = _current.device
    if outer is not None:
        if outer.HasField("node_name") and not option.HasField("node_name"):
            option.node_name = outer.node_name
        option.extra_info.extend(outer.extra_info)
        option.extra_info.sort()
    return _set(device=option)


def EmptyNameScope() -> Any:
    """No prefix inside, whatever is outside."""
    return _set(name="")


def EmptyDeviceScope() -> Any:
    """No device inside, whatever is outside."""
    return _set(device=None)
