"""Parameters: constants as operators of an init net."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.build import create_operator
from caffe2ops.defs import OperatorDef, data_type_of
from caffe2ops.port.values import Value

# dtype -> the filler of the init net that gives it; others are cast from one of these.
FILLERS = {
    "float32": "GivenTensorFill", "float64": "GivenTensorDoubleFill", "int32": "GivenTensorIntFill",
    "int64": "GivenTensorInt64Fill", "bool": "GivenTensorBoolFill", "int16": "GivenTensorInt16Fill",
    "object": "GivenTensorStringFill",
}  # fmt: skip


def parameter(value: Value) -> list[OperatorDef]:
    """The operators of an init net that make a constant."""
    array, name = value.constant("a parameter"), value.name
    if value.quantised is not None:
        return [_quantised(name, array, *value.quantised)]
    if array.dtype == np.float64:
        return _doubles(name, array)
    if array.dtype.name in FILLERS:
        return [_given(FILLERS[array.dtype.name], name, array)]
    wide = f"{name}/wide"
    if array.dtype == np.float16:
        return [_given("GivenTensorFill", wide, array), create_operator("FloatToHalf", wide, name)]
    cast = create_operator("Cast", wide, name, to=int(data_type_of(array.dtype)))
    return [_given("GivenTensorIntFill", wide, array), cast]


def _given(filler: str, name: str, array: np.ndarray[Any, Any]) -> OperatorDef:
    values: Any = array.reshape(-1)
    if array.dtype == object:
        values = values.tolist()
    else:
        values = values.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    args = {"shape": tuple(array.shape), "values": tuple(values) if isinstance(values, list) else values}
    # as it is: to validate each of a million numbers takes seconds
    return OperatorDef.model_construct({"type", "output", "args"}, type=filler, output=(name,), args=args)


def _quantised(name: str, array: np.ndarray[Any, Any], scale: float, zero: int) -> OperatorDef:
    """Bytes, or a bias of 32 bits."""
    filler = "Int8GivenTensorFill" if array.dtype == np.uint8 else "Int8GivenIntTensorFill"
    values: Any = array.tobytes() if array.dtype == np.uint8 else array.astype(np.int64)
    args = {"shape": tuple(array.shape), "values": values, "Y_scale": scale, "Y_zero_point": zero}
    return create_operator(filler, (), name, **args)


def _doubles(name: str, array: np.ndarray[Any, Any]) -> list[OperatorDef]:
    """float64 numbers as a sum of tensors: arguments hold float32."""
    parts: list[np.ndarray[Any, Any]] = []
    rest = array
    while len(parts) < 3 and (rest.any() or not parts):
        with np.errstate(over="ignore"):
            parts.append(rest.astype(np.float32))
        rest = np.where(np.isfinite(parts[-1]), rest - parts[-1], 0)
    names = [name, *(f"{name}/part_{i}" for i in range(1, len(parts)))]
    made = [_given("GivenTensorDoubleFill", n, part) for n, part in zip(names, parts)]
    return made + [create_operator("Add", (name, part), name) for part in names[1:]]
