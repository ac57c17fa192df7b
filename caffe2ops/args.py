"""Arguments of operators: how they are declared, and how a value of a definition becomes a typed attribute."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from caffe2ops.defs import Argument, NetDef, OperatorDef, TensorProto
from caffe2ops.errors import SchemaError, did_you_mean


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise TypeError
    return int(value) if isinstance(value, (int, float, np.integer)) else _refuse()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else _refuse()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else value.decode() if isinstance(value, bytes) else _refuse()


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes) else _refuse()


def _instance(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else _refuse()


def _listed(convert: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def listed(value: Any) -> list[Any]:
        return [convert(v) for v in (value.tolist() if isinstance(value, np.ndarray) else _items(value))]

    return listed


def _items(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _bulk(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else np.asarray(_items(value))


def _refuse() -> Any:
    raise TypeError


# fmt: off
ARG_TYPES: dict[str, Callable[[Any], Any]] = {
    "int": _integer, "float": _number, "bool": lambda value: bool(_integer(value)), "str": _text, "bytes": _bytes,
    "NetDef": _instance(NetDef), "TensorProto": _instance(TensorProto),
}
ARG_TYPES |= {f"list[{name}]": _listed(convert) for name, convert in ARG_TYPES.items()}
# Bulk numbers; and a value or list whose type another argument says.
ARG_TYPES |= {
    "np.ndarray": _bulk, "Value": lambda value: value, "list": lambda value: value if _is_list(value) else (value,),
}
# The fields of an Argument for a value of a type and for a list of them.
FIELDS = {
    "int": ("i", "ints"), "bool": ("i", "ints"), "float": ("f", "floats"), "str": ("s", "strings"),
    "bytes": ("s", "strings"), "NetDef": ("n", "nets"), "TensorProto": ("t", "tensors"),
}
BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "ge": (">=", lambda v, b: v >= b), "gt": (">", lambda v, b: v > b),
    "le": ("<=", lambda v, b: v <= b), "lt": ("<", lambda v, b: v < b),
}
# fmt: on
# Arguments that Caffe2's front end and other back ends put on any operator; they carry no meaning here. Nor do those
# that end in `.rename` (memonger's, for the nets in recurrent operators), but for the operators that look for them.
# fmt: off
COMMON_ARGS = frozenset((
    "order", "engine", "exhaustive_search", "cudnn_exhaustive_search", "enable_tensor_core", "ws_nbytes_limit",
    "deterministic", "shared_buffer", "init_params", "net_pos", "broadcast_to_test", "data_format_hint", "_in_place",
    "debug_name", "onnxifi_blacklist_ops", "rnn_executor.num_threads", "rnn_executor.max_cuda_streams",
))
# fmt: on
REQUIRED: Any = object()


class ArgSpec:
    """A declared argument of an operator class; made by `Arg`."""

    def __init__(self, default: Any, choices: tuple[Any, ...], doc: str, bounds: dict[str, Any]):
        self.default, self.choices, self.doc, self.bounds = default, choices, doc, bounds
        self.name = self.type = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def parse(self, value: Any, where: str) -> Any:
        """The typed value. Raises SchemaError naming operator, argument, value and what was wanted."""
        try:
            parsed = ARG_TYPES[self.type](value)
        except (TypeError, ValueError, UnicodeDecodeError):
            raise SchemaError(f"{where}: {self.name} = {_brief(value)}, wants {self.type}") from None
        for bound, limit in self.bounds.items():
            sign, holds = BOUNDS[bound]
            if not all(holds(v, limit) for v in _items(parsed)):
                raise SchemaError(f"{where}: {self.name} = {_brief(value)}, wants {sign} {limit}")
        if self.choices and any(v not in self.choices for v in _items(parsed)):
            raise SchemaError(f"{where}: {self.name} = {_brief(value)}, wants {' or '.join(map(repr, self.choices))}")
        return parsed


def annotated(annotation: Any) -> str:
    """A type as ARG_TYPES names it: the annotation of a module that does not put annotations off is the type itself."""
    if isinstance(annotation, str):
        return annotation
    if annotation is np.ndarray:
        return "np.ndarray"
    items = "".join(f"[{annotated(item)}]" for item in get_args(annotation))
    return f"{getattr(annotation, '__name__', annotation)}{items}"


def Arg(
    default: Any = REQUIRED,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Sequence[Any] = (),
    doc: str = "",
) -> Any:
    """Declares an argument in the body of an Operator: `k: int = Arg(ge=1, doc="...")`. Without a default it is
    required."""
    bounds = {name: limit for name, limit in dict(ge=ge, gt=gt, le=le, lt=lt).items() if limit is not None}
    return ArgSpec(default, tuple(choices), doc, bounds)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_args(op_def: OperatorDef, specs: Mapping[str, ArgSpec], where: str, strict: bool) -> dict[str, Any]:
    """The typed values of all declared arguments, defaults filled in.

    An argument that is not declared raises SchemaError where `strict`, else it is warned of; on a gradient operator,
    which gets all arguments of the forward one, it means nothing. Raises SchemaError for what is missing or wrong.
    """
    for name in op_def.args:
        common = name in specs or name in COMMON_ARGS or name.endswith(".rename")
        if not common and not op_def.is_gradient_op:
            has = f"it has {', '.join(specs)}" if specs else "it has none"
            text = f"{where} has no argument {name!r}{did_you_mean(name, specs)} ({has})"
            if strict:
                raise SchemaError(text)
            warnings.warn(text, stacklevel=6)
    return {name: _read(op_def.args.get(name, REQUIRED), spec, where) for name, spec in specs.items()}


def _read(value: Any, spec: ArgSpec, where: str) -> Any:
    if isinstance(value, Argument) or (isinstance(value, tuple) and any(isinstance(v, Argument) for v in value)):
        value = _verbatim(value, spec, where)
    empty = isinstance(value, tuple) and not value and not spec.type.startswith(("list", "np"))
    if value is not REQUIRED and not empty:
        return spec.parse(value, where)
    if spec.required:
        raise SchemaError(f"{where}: argument {spec.name} is missing, wants {spec.type}")
    return list(spec.default) if isinstance(spec.default, (list, tuple)) else spec.default


def _verbatim(value: Argument | tuple[Argument, ...], spec: ArgSpec, where: str) -> Any:
    """The field that an argument's type asks for, of an argument with several fields or written several times alike."""
    several = value if isinstance(value, tuple) else (value,)
    if any(other != several[0] for other in several[1:]):
        raise SchemaError(f"{where}: argument {spec.name} is given {len(several)} times with different values")
    name, listed = spec.type.removeprefix("list[").rstrip("]"), spec.type.startswith("list[")
    names = (FIELDS[name][listed],) if name in FIELDS else Argument.model_fields
    found = [value for value in (getattr(several[0], field) for field in names) if _is_set(value)]
    return found[0] if found else REQUIRED


def _is_set(value: Any) -> bool:
    return value is not None and (not isinstance(value, (tuple, np.ndarray)) or len(value) > 0)
