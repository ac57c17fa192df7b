"""Shapes and dtypes without running: TensorSpec, dims that may be unknown, and inference over a whole net."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.dataflow import written_by
from caffe2ops.errors import OperatorError, UnknownShape

if TYPE_CHECKING:
    from caffe2ops.defs import NetDef


class Unknown:
    """A dimension nobody knows: arithmetic with it gives it again, comparing it raises UnknownShape."""

    def _same(self, *_: object) -> Unknown:
        return self

    def _raise(self, *_: object) -> Any:
        raise UnknownShape

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __neg__ = _same
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __bool__ = __index__ = __int__ = __float__ = _raise
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "?"


UNKNOWN = Unknown()
Dim = int | Unknown


class TensorSpec:
    """Dtype and shape of a tensor, each possibly unknown. `dtype` is None where it is unknown, and for blobs that
    hold no tensor."""

    __slots__ = ("_shape", "dtype")

    def __init__(self, shape: Sequence[Dim] | None = None, dtype: Any = None):
        self._shape = None if shape is None else tuple(shape)
        self.dtype: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)

    @property
    def shape(self) -> tuple[Any, ...]:
        """The dims, some maybe UNKNOWN. Raises UnknownShape where not even their number is known."""
        if self._shape is None:
            raise UnknownShape
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def has_rank(self) -> bool:
        return self._shape is not None

    @property
    def known(self) -> bool:
        return self._shape is not None and UNKNOWN not in [d for d in self._shape if isinstance(d, Unknown)]

    @property
    def size(self) -> Any:
        """The number of elements, maybe UNKNOWN."""
        return prod(self.shape) if self.known else UNKNOWN

    @property
    def nbytes(self) -> Any:
        return UNKNOWN if self.dtype is None or not self.known else self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        dims = "[...]" if self._shape is None else f"[{', '.join(map(str, self._shape))}]"
        return f"{self.dtype or '?'}{dims}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorSpec):
            return NotImplemented
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True)
class Cost:
    """What one run of an operator takes: floating point operations, bytes read and written; None where a shape is
    unknown."""

    flops: int | None = 0
    bytes_read: int | None = 0
    bytes_written: int | None = 0


@dataclass
class Inference:
    """What is known of a net without running it.

    `specs`: blob -> TensorSpec after the net has run; `steps`: one entry an operator: (inputs, outputs, cost);
    `errors`: what would fail, as OperatorErrors.
    """

    specs: dict[str, TensorSpec] = field(default_factory=dict)
    steps: list[tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], Cost]] = field(default_factory=list)
    errors: list[OperatorError] = field(default_factory=list)

    @property
    def flops(self) -> int:
        """Floating point operations of all operators whose shapes are known."""
        return sum(cost.flops or 0 for _, _, cost in self.steps)

    @property
    def bytes_moved(self) -> int:
        return sum((cost.bytes_read or 0) + (cost.bytes_written or 0) for _, _, cost in self.steps)


def infer_shapes(net: NetDef, shapes: Mapping[str, Any] | None = None) -> Inference:
    """Shapes, dtypes and costs of all blobs of a net, as far as they follow from what is given.

    `shapes` maps a blob to a TensorSpec, an array, or a shape (float32 is meant; None or UNKNOWN for an unknown dim).
    Blobs not given are unknown, and so is what depends on them. A net that would fail is found: see `errors`.
    """
    from caffe2ops import registry

    found = Inference(specs={name: as_spec(value) for name, value in (shapes or {}).items()})
    for index, op_def in enumerate(net.op):
        inputs = tuple(found.specs.get(name, TensorSpec()) for name in op_def.input)
        outputs: tuple[TensorSpec, ...] = (TensorSpec(),) * len(op_def.output)
        cost = Cost(None, None, None)
        try:
            op = registry.create(op_def, device_option=net.device_option)
            outputs = op.infer_specs(inputs)
            cost = op.infer_cost(inputs, outputs)
        except Exception as error:  # any failure here is a finding about the net
            found.errors.append(OperatorError(str(error), op_def, tuple(map(str, inputs)), net.name, index))
            found.errors[-1].__cause__ = error
        if op_def.is_gradient_op:
            outputs = tuple(_gradient_spec(name, spec, found.specs) for name, spec in zip(op_def.output, outputs))
        found.specs.update((name, TensorSpec()) for name in written_by(op_def))  # a net within it may write others
        found.specs.update(zip(op_def.output, outputs))
        found.steps.append((inputs, outputs, cost))
    return found


def _gradient_spec(name: str, spec: TensorSpec, specs: Mapping[str, TensorSpec]) -> TensorSpec:
    """The spec of a gradient operator's output; where it is unknown, X_grad is taken to be like X, as Caffe2 does."""
    return spec if spec.known else specs.get(name.removesuffix("_grad"), spec) if name.endswith("_grad") else spec


def peak_memory(net: NetDef, found: Inference) -> int:
    """Bytes that the blobs of a net take when each is freed after its last use; inputs, parameters and outputs stay."""
    last_use = {name: i for i, op in enumerate(net.op) for name in (*op.input, *op.output)}
    stays = set(net.external_input) | set(net.external_output)
    sizes = {name: _known_bytes(spec) for name, spec in found.specs.items()}
    live = {name for name in sizes if name in stays or name not in last_use}
    peak = now = sum(sizes[name] for name in live)
    for i, op in enumerate(net.op):
        fresh = [name for name in dict.fromkeys(op.output) if name not in live]
        live.update(fresh)
        now += sum(sizes.get(name, 0) for name in fresh)
        peak = max(peak, now)
        done = [name for name in dict.fromkeys((*op.input, *op.output)) if last_use[name] == i and name in live - stays]
        live.difference_update(done)
        now -= sum(sizes.get(name, 0) for name in done)
    return peak


def _known_bytes(spec: TensorSpec) -> int:
    return spec.nbytes if isinstance(spec.nbytes, int) else 0


def as_spec(value: Any) -> TensorSpec:
    """A TensorSpec of a spec, an array, or a shape (float32)."""
    if isinstance(value, TensorSpec):
        return value
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return TensorSpec(value.shape, value.dtype)
    if value is None:
        return TensorSpec()
    dims = [UNKNOWN if d is None else d for d in value] if isinstance(value, Iterable) else [-1]
    if not all(isinstance(d, Unknown) or (isinstance(d, (int, np.integer)) and d >= 0) for d in dims):
        raise ValueError(f"shape {value!r}, wants a list of dims, each from 0 on or None for an unknown one")
    return TensorSpec(dims, np.float32)


def human(number: float, unit: str = "") -> str:
    """1234567 -> 1.23 M."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * factor:  # with three digits it is 1 of these
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:g} {unit}".rstrip()
