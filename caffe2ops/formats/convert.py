"""Protobuf messages <-> the models of caffe2ops.defs. Which fields were set survives both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from caffe2ops.defs import BULK, Argument, Def, NetDef, QTensorProto, TensorProto
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.messages import Field, fields, message_class
from caffe2ops.formats.numbers import Array
from caffe2ops.formats.wire import Tree


@contextmanager
def within(step: str) -> Iterator[None]:
    """Puts `step` before the path of a FormatError that passes; a value that protobuf refuses becomes one."""
    try:
        yield
    except FormatError as error:
        raise error.within(step) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(str(error), path=(step,)) from error


def frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


# ----------------------------------------------------------------------------------------------------- message -> model


def from_message(message: Any, model: type[Def], tree: Tree | None = None) -> Any:
    """The model of a message; `tree` holds bulk numbers that were taken out of it (see wire)."""
    values = _values(message, model, tree or {})
    return model.model_construct(_fields_set=set(values), **values)


def _values(message: Any, model: type[Def], tree: Tree) -> dict[str, Any]:
    table = fields(model)
    values: dict[str, Any] = {}
    for descriptor, content in message.ListFields():
        field = table[descriptor.number]
        if field.model is Argument:
            values["args"] = _args(content, tree)
        elif field.model is not None:
            values[field.name] = _inner(field, field.model, content, tree)
        elif field.bulk is not None:
            values[field.name] = frozen(np.array(content, field.bulk))
        elif field.repeated:
            values[field.name] = tuple(_text(field, item) for item in content) if field.text else tuple(content)
        else:
            values[field.name] = _text(field, content) if field.text else content
    for name, runs in tree.items():
        if isinstance(runs, list):
            runs = [values[name], *runs] if name in values else runs
            values[name] = frozen(np.concatenate(runs) if len(runs) > 1 else runs[0])
    return values


def _inner(field: Field, model: type[Def], content: Any, tree: Tree) -> Any:
    if not field.repeated:
        with within(field.name):
            return from_message(content, model, tree.get(field.name))
    items: list[Any] = []
    try:
        for item in content:
            items.append(from_message(item, model, tree.get((field.name, len(items)))))
    except FormatError as error:
        raise error.within(f"{field.name}[{len(items)}]") from None
    return tuple(items)


def _text(field: Field, content: str | bytes) -> str:
    if isinstance(content, bytes):
        raise FormatError(f"{content[:40]!r} is not UTF-8", path=(field.name,))
    return content


def _args(messages: Any, tree: Tree) -> dict[str, Any]:
    """The arguments by name; a name that stands more than once gets a tuple of Arguments."""
    found: dict[str, list[dict[str, Any]]] = {}
    for index, message in enumerate(messages):
        try:
            values = _values(message, Argument, tree.get(("arg", index), {}))
        except FormatError as error:
            raise error.within(f"arg[{index}]") from None
        found.setdefault(values.pop("name", ""), []).append(values)
    return {name: _value(all_[0]) if len(all_) == 1 else tuple(map(_argument, all_)) for name, all_ in found.items()}


def _argument(values: dict[str, Any]) -> Argument:
    return Argument.model_construct(_fields_set=set(values), **values)


def _value(values: dict[str, Any]) -> Any:
    """What the one field of an argument says; () where none is set, an Argument where several are."""
    if len(values) != 1:
        return _argument(values) if values else ()
    ((name, value),) = values.items()
    if name == "s":
        return _utf8(value)
    if name == "strings":
        return tuple(map(_utf8, value))
    if name in ("floats", "ints") and len(value) <= BULK:
        return tuple(value.tolist())
    return value


def _utf8(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


# ----------------------------------------------------------------------------------------------------- model -> message


def to_message(model: Def) -> Any:
    """The protobuf message of a model."""
    message = message_class(type(model).__name__)()
    fill(message, type(model), set_fields(model))
    return message


def set_fields(model: Def) -> dict[str, Any]:
    """The fields of a model that were given, by name."""
    return {name: value for name, value in model if name in model.model_fields_set and value is not None}


def arguments(args: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and set fields of every Argument message that the mapping stands for."""
    for name, value in args.items():
        repeated = isinstance(value, tuple) and value and isinstance(value[0], Argument)
        for one in value if repeated else (value,):
            yield name, {**({"name": name} if name else {}), **_argument_fields(one)}


def _argument_fields(value: Any) -> dict[str, Any]:
    if isinstance(value, Argument):
        return set_fields(value)
    if isinstance(value, np.ndarray):
        return {"floats" if value.dtype.kind == "f" else "ints": value}
    if isinstance(value, tuple):
        if not value:
            return {}
        if all(isinstance(item, (str, bytes)) for item in value):
            return {"strings": tuple(map(_bytes, value))}
        return {_list_field(value): value}
    if isinstance(value, (str, bytes)):
        return {"s": _bytes(value)}
    if isinstance(value, QTensorProto):
        return {"qtensors": (value,)}
    # fmt: off
    for type_, field in ((int, "i"), (float, "f"), (NetDef, "n"), (TensorProto, "t")):
        if isinstance(value, type_):
            return {field: value}
    # fmt: on
    raise FormatError(f"{type(value).__name__} is no type of argument")


def _list_field(items: tuple[Any, ...]) -> str:
    for types, field in ((int, "ints"), ((int, float), "floats"), (NetDef, "nets"), (TensorProto, "tensors")):
        if all(isinstance(item, types) for item in items):
            return field
    if all(isinstance(item, QTensorProto) for item in items):
        return "qtensors"
    raise FormatError(f"a list of {', '.join(sorted({type(item).__name__ for item in items}))} is no type of argument")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def fill(message: Any, model: type[Def], values: dict[str, Any]) -> None:
    for field in fields(model).values():
        if field.attribute in values:
            _set(message, field, values[field.attribute])


def _set(message: Any, field: Field, value: Any) -> None:
    if field.model is Argument:
        for name, content in arguments(value):
            with within(f"arg {name!r}"):
                fill(message.arg.add(), Argument, content)
    elif field.model is not None and field.repeated:
        container = getattr(message, field.name)
        for index, item in enumerate(value):
            with within(f"{field.name}[{index}]"):
                fill(container.add(), field.model, set_fields(item))
    elif field.model is not None:
        with within(field.name):
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, field.model, set_fields(value))
    else:
        with within(field.name):
            if field.repeated:
                getattr(message, field.name).extend(value.tolist() if isinstance(value, np.ndarray) else value)
            else:
                setattr(message, field.name, value)
