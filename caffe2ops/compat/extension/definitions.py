"""Definitions as they come over the surface: serialized messages."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from caffe2ops.compat.extension.errors import ArgumentError
from caffe2ops.defs import Def, DeviceOption, NetDef, OperatorDef, PlanDef
from caffe2ops.formats.binary import decode, encode
from caffe2ops.one_operator import OneOperator

SMALL = 4096  # bytes of a message that is remembered: scripts and tests run the same operator over and over
REMEMBERED = 2048  # messages


def _decoded(raw: bytes, model: type[Def]) -> Any:
    if not isinstance(raw, bytes):
        raise ArgumentError(f"wants a serialized {model.__name__} in bytes, got {type(raw).__name__}")
    return _remembered(raw, model) if len(raw) <= SMALL else decode(raw, model)


@lru_cache(REMEMBERED)
def _remembered(raw: bytes, model: type[Def]) -> Any:
    return decode(raw, model)


def operator_of(raw: bytes) -> OperatorDef:
    found: OperatorDef = _decoded(raw, OperatorDef)
    return found


@lru_cache(REMEMBERED)
def one_operator(raw: bytes) -> OneOperator:
    """An operator to be run. To be forgotten (`one_operator.cache_clear()`) where engines are preferred anew."""
    return OneOperator(operator_of(raw))


def net_of(raw: bytes) -> NetDef:
    found: NetDef = _decoded(raw, NetDef)
    return found


def plan_of(raw: bytes) -> PlanDef:
    found: PlanDef = _decoded(raw, PlanDef)
    return found


def device_of(raw: bytes | None) -> DeviceOption | None:
    found: DeviceOption | None = None if raw is None else _decoded(raw, DeviceOption)
    return found


def text(name: str | bytes) -> str:
    """A name, which may come as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


__all__ = ["device_of", "encode", "net_of", "one_operator", "operator_of", "plan_of", "text"]
