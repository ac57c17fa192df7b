"""How arrays and argument values look in JSON, which has no bytes, no NaN, no arrays of a dtype, and one kind of
object.

bytes                {"base64": "..."}
NaN, infinities      {"float": "nan"}, {"float": "inf"}, {"float": "-inf"}
arrays               {"dtype": "float32", "base64": "..."}, little endian
nets, tensors, ...   {"NetDef": {...}}, {"TensorProto": {...}}, ...
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import numpy as np

BULK = 64  # lists of more numbers than this are kept as arrays
_ARRAY = {
    "type": "object",
    "properties": {"dtype": {"enum": ["float32", "float64", "int32", "int64"]}, "base64": {"type": "string"}},
    "required": ["dtype", "base64"],
    "additionalProperties": False,
}


def array_schema() -> dict[str, Any]:
    """JSON Schema of a field that holds an array."""
    return {"anyOf": [{"type": "array", "items": {"type": "number"}}, _ARRAY]}


def value_schema(messages: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema of an argument; where a message stands it says {"message": name} (see formats.schemas)."""
    one = [
        {"type": "integer"},
        {"type": "number"},
        {"type": "string"},
        _object("base64", {"type": "string"}),
        _object("float", {"enum": ["nan", "inf", "-inf"]}),
        *(_object(name, {"message": name}) for name in messages),
    ]
    return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}, _ARRAY]}


def _object(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": False}


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()


def _decode(text: str) -> bytes:
    return b64decode(text, altchars=b"-_", validate=True)


def array_to_json(array: np.ndarray) -> Any:
    """A short list of finite numbers as a list, anything else with its bytes."""
    if array.size <= BULK and np.isfinite(array).all():
        return array.tolist()
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"dtype": array.dtype.name, "base64": _encode(little.tobytes())}


def array_from_json(form: dict[str, Any]) -> np.ndarray:
    if set(form) != {"dtype", "base64"} or form["dtype"] not in _ARRAY["properties"]["dtype"]["enum"]:  # type: ignore[index]
        raise ValueError(f"{str(form)[:80]} is no array; wants dtype (float32, float64, int32, int64) and base64")
    dtype = np.dtype(form["dtype"])
    return np.frombuffer(_decode(form["base64"]), dtype.newbyteorder("<")).astype(dtype, copy=False)


def value_to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [value_to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"base64": _encode(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        return {"dtype": value.dtype.name, "base64": _encode(little.tobytes())}
    if hasattr(value, "model_dump"):
        return {type(value).__name__: value.model_dump(mode="json", exclude_unset=True)}
    return value


def value_from_json(form: dict[str, Any], model: Callable[[str], Any]) -> Any:
    """The value that an object stands for; `model` gives the class of a message by its name, or None."""
    if len(form) == 2:
        return array_from_json(form)
    if len(form) == 1:
        ((key, content),) = form.items()
        if key == "base64":
            return _decode(content)
        if key == "float":
            return float(content)
        cls = model(key)
        if cls is not None:
            return cls.model_validate_json(json.dumps(content))
    raise ValueError(f"{str(form)[:80]} is no form of an argument value")
