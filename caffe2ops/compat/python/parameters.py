"""caffe2.python.modeling.parameter_info and .initializers: what a model knows of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from caffe2ops.compat.python.blobs import BlobReference


class ParameterTags:
    BIAS = "BIAS"
    WEIGHT = "WEIGHT"
    COMPUTED_PARAM = "COMPUTED_PARAM"


@dataclass(eq=False)
class ParameterInfo:
    """A parameter: its blob, shape and, once there, gradient. `optimizer` is one of its own."""

    param_id: int | None
    param: BlobReference
    key: Any = None
    shape: Sequence[int] | None = None
    length: int | None = None
    grad: Any = None
    blob_copy: dict[int, BlobReference] | None = None
    optimizer: Any = field(default=None, init=False)

    @property
    def name(self) -> str:
        return str(self.param)

    @property
    def blob(self) -> BlobReference:
        return self.param

    parameter = blob

    @property
    def size(self) -> int | None:
        return None if self.shape is None else prod(self.shape)

    def __str__(self) -> str:
        return self.name


class Initializer:
    """Makes a parameter with an operator of the init net, e.g. Initializer("XavierFill")."""

    def __init__(self, operator_name: str | None = None, **kwargs: Any):
        self.operator_name, self.operator_kwargs = operator_name, kwargs

    def create_param(self, param_name: Any, init_net: Any, shape: Sequence[int]) -> ParameterInfo:
        fill = getattr(init_net, self.operator_name or "")
        return ParameterInfo(None, fill([], param_name, shape=shape, **self.operator_kwargs), shape=shape)


class ExternalInitializer:
    """Makes nothing: the parameter is in the workspace when the net runs."""

    def create_param(self, param_name: Any, init_net: Any, shape: Sequence[int]) -> ParameterInfo:
        return ParameterInfo(None, BlobReference(param_name, init_net), shape=shape)


def update_initializer(
    initializer_class: Any,
    operator_name_and_kwargs: tuple[str, dict[str, Any]] | None,
    default_operator_name_and_kwargs: tuple[str, dict[str, Any]],
) -> Any:
    """An initializer of that class (None: Initializer) for an operator and its arguments."""
    name, kwargs = operator_name_and_kwargs or default_operator_name_and_kwargs
    return (initializer_class or Initializer)(name, **kwargs)
