"""The contract line of an operator: its inputs and outputs with dtypes and dims, parsed, checked and used for
inference.

    DATA: floating[S], LENGTHS: int32[N] -> TopKValue: DATA[N, k], TopKIndices: int32[N, k]

A port is `name: dtype[dims]`. Before the name `*` means one or more, after it `?` means optional (and `*name?` any
number).
Dtypes are a class (see CLASSES), a NumPy name, the name of an input (its dtype), unions of these with `|`, or `$arg`
(the data
type number in that argument); the blobs of a variadic port share one dtype unless it is `any`. Dims are numbers,
arguments of that name, symbols (equal wherever they stand), and `...`, one run of
dims that is the same wherever it stands. Without brackets an input has any shape; an output declared as an input's name
alone has that input's dtype and shape. `[?]` says that the operator's `infer` computes the shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from caffe2ops.defs import DTYPES, dtype_of
from caffe2ops.infer import UNKNOWN, TensorSpec, Unknown

# fmt: off
CLASSES: dict[str, tuple[str, ...]] = {
    "float": ("float32", "float64"),
    "floating": ("float32", "float64", "float16"),
    "integer": ("int32", "int64"),
    "number": ("float32", "float64", "int32", "int64"),
    "string": ("object",),
    "any": tuple(dict.fromkeys(d.name for d in DTYPES.values())),
}
# fmt: on
PORT = re.compile(
    r"(?P<star>\*?)(?P<name>\w+)(?P<optional>\??)\s*:\s*(?P<dtype>[\w|$]+)\s*(?:\[(?P<dims>[^\]]*)\])?\s*"
)


@dataclass(frozen=True)
class Port:
    """An input or output of an operator."""

    name: str
    dtype: str
    dims: tuple[str, ...] | None
    optional: bool = False
    variadic: bool = False

    def __str__(self) -> str:
        dims = "" if self.dims is None else f"[{', '.join(self.dims)}]"
        return f"{'*' * self.variadic}{self.name}{'?' * self.optional}: {self.dtype}{dims}"


@dataclass(frozen=True)
class Contract:
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def counts(self, ports: tuple[Port, ...]) -> tuple[int, int | None]:
        """The least and the greatest number of blobs, None for no bound."""
        least = sum(not p.optional for p in ports)
        return least, None if any(p.variadic for p in ports) else len(ports)

    def check(self, specs: Sequence[TensorSpec | None], args: Callable[[str], Any]) -> dict[str, Any]:
        """Compares the inputs with the contract; None stands for a blob that holds no tensor. Gives what the symbols
        stand for.

        Raises TypeError for a dtype and ValueError for a shape, naming the input and what was wanted.
        """
        bound: dict[str, Any] = {}
        for port, spec in self.pair(self.inputs, specs):
            if port.dtype == "blob":
                continue
            if spec is None:
                raise TypeError(f"{port.name}: holds no tensor, wants {port}")
            wanted = self._dtypes(port, bound, args)
            if spec.dtype is not None:
                if port.variadic and port.dtype != "any" and f"dtype {port.name}" in bound:
                    wanted = (bound[f"dtype {port.name}"],)
                if wanted and spec.dtype not in wanted:
                    raise TypeError(f"{port.name}: dtype is {spec.dtype}, wants {' or '.join(d.name for d in wanted)}")
                bound.setdefault(f"dtype {port.name}", spec.dtype)
            if spec.has_rank:
                bound.setdefault(f"shape {port.name}", spec.shape)
                if port.dims is not None:
                    _match(port, spec.shape, bound, args)
        return bound

    def infer(self, bound: Mapping[str, Any], count: int, args: Callable[[str], Any]) -> tuple[TensorSpec, ...]:
        """The specs of the first `count` outputs from what `check` found."""
        ports = [port for port, _ in self.pair(self.outputs, range(count))]
        return tuple(TensorSpec(self._shape(p, bound, args), self.dtype(p, bound, args)) for p in ports)

    def dtype(self, port: Port, bound: Mapping[str, Any], args: Callable[[str], Any]) -> np.dtype[Any] | None:
        """The dtype of an output: that of the input it names, else the first of its class."""
        wanted = self._dtypes(port, bound, args)
        return wanted[0] if wanted and port.dtype != "any" else None

    def _dtypes(self, port: Port, bound: Mapping[str, Any], args: Callable[[str], Any]) -> tuple[np.dtype[Any], ...]:
        if port.dtype.startswith("$"):
            return (dtype_of(args(port.dtype[1:])),)
        dtypes: list[np.dtype[Any]] = []
        for part in port.dtype.split("|"):
            known = (bound[f"dtype {part}"],) if f"dtype {part}" in bound else _classes(part)
            if not known:
                return ()  # the dtype of an input that is unknown here
            dtypes += known
        return tuple(dict.fromkeys(dtypes))

    def _shape(self, port: Port, bound: Mapping[str, Any], args: Callable[[str], Any]) -> tuple[Any, ...] | None:
        if port.dims is None:
            return bound.get(f"shape {port.dtype}")
        shape: list[Any] = []
        for dim in port.dims:
            if dim == "?" or (dim == "..." and dim not in bound):
                return None
            shape += bound[dim] if dim == "..." else [_dim(dim, bound, args)]
        return tuple(shape)

    @staticmethod
    def pair(ports: tuple[Port, ...], values: Sequence[Any]) -> list[tuple[Port, Any]]:
        """Ports with the blobs that take their places; a variadic port takes as many as are left for it."""
        spare = len(values) - sum(not p.optional for p in ports)
        pairs: list[tuple[Port, Any]] = []
        rest = iter(values)
        for port in ports:
            take = 1
            if port.variadic:
                take, spare = (0 if port.optional else 1) + spare, 0
            elif port.optional:
                take, spare = (1, spare - 1) if spare > 0 else (0, spare)
            pairs += [(port, value) for _, value in zip(range(take), rest)]
        return pairs

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.inputs))} -> {', '.join(map(str, self.outputs))}"


def _dim(dim: str, bound: Mapping[str, Any], args: Callable[[str], Any]) -> Any:
    if dim.isdigit():
        return int(dim)
    value = args(dim)
    return bound.get(dim, UNKNOWN) if value is None else value


def _match(port: Port, shape: tuple[Any, ...], bound: dict[str, Any], args: Callable[[str], Any]) -> None:
    dims = port.dims or ()
    run = len(shape) - len(dims) + 1 if "..." in dims else 0
    if run < 0 or ("..." not in dims and len(shape) != len(dims)):
        raise ValueError(f"{port.name}: shape is {_show(shape)}, wants [{', '.join(dims)}]")
    rest = list(shape)
    for dim in dims:
        got: Any
        if dim == "...":
            got, rest = tuple(rest[:run]), rest[run:]
            want = bound.setdefault(dim, got)
            same = len(got) == len(want) and all(_agree(a, b) for a, b in zip(got, want))
        else:
            got = rest.pop(0)
            want = _dim(dim, bound, args)
            same = dim == "?" or _agree(got, want)
            if isinstance(want, Unknown) and not isinstance(got, Unknown):
                bound[dim] = got
        if not same:
            raise ValueError(
                f"{port.name}: shape is {_show(shape)}, wants [{', '.join(dims)}] with {dim} = {_show(want)}"
            )


def _agree(a: Any, b: Any) -> bool:
    return isinstance(a, Unknown) or isinstance(b, Unknown) or a == b


def _show(shape: Any) -> str:
    return f"[{', '.join(map(str, shape))}]" if isinstance(shape, tuple) else str(shape)


@cache
def _classes(text: str) -> tuple[np.dtype[Any], ...]:
    """The dtypes that a word names; none where it names an input."""
    names = CLASSES.get(text, (text,))
    return tuple(np.dtype(name) for name in names) if set(names) <= set(CLASSES["any"]) else ()


@cache
def parse(line: str) -> Contract:
    """The Contract of a line. Raises ValueError with the part that is no port."""
    left, arrow, right = line.partition("->")
    if not arrow:
        raise ValueError(f"contract {line!r}: wants 'inputs -> outputs'")
    contract = Contract(_ports(left), _ports(right))
    inputs = {port.name for port in contract.inputs}
    for port in (*contract.inputs, *contract.outputs):
        for part in port.dtype.split("|"):
            if part not in inputs and part != "blob" and part[0] != "$" and not _classes(part):
                raise ValueError(f"contract {line!r}: {part} is no dtype, class of dtypes or input")
    return contract


def _ports(text: str) -> tuple[Port, ...]:
    ports, at = [], 0
    text = text.strip()
    while at < len(text):
        found = PORT.match(text, at)
        if not found or (found.end() < len(text) and text[found.end()] != ","):
            raise ValueError(f"contract: {text[at:]!r} is not of the form name: dtype[dims]")
        dims = found["dims"]
        split = None if dims is None else tuple(dim for dim in re.split(r"[\s,]+", dims.strip()) if dim)
        ports.append(Port(found["name"], found["dtype"], split, bool(found["optional"]), bool(found["star"])))
        at = found.end() + 1
        at += len(text[at:]) - len(text[at:].lstrip())
    twice = [port.name for i, port in enumerate(ports) if port.name in [other.name for other in ports[:i]]]
    if twice:
        raise ValueError(f"contract: {twice[0]} stands twice in {text!r}")
    return tuple(ports)
