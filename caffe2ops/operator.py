"""The Operator base class: a subclass (or row) holds contract, arguments, inference, kernels, gradient and doc."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe2ops import contract as contracts
from caffe2ops import registry
from caffe2ops.args import ARG_TYPES, REQUIRED, annotated, read_args
from caffe2ops.args import Arg as Arg
from caffe2ops.args import ArgSpec as ArgSpec
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import UnknownShape
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.schema import ArgSchema, OpSchema, PortSchema

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker
    from caffe2ops.workspace import Blob, Workspace

Array = Any  # a numpy.ndarray or cupy.ndarray
Step = Callable[[], Any]


class NonGradient(Enum):
    """Why an operator has no gradient, where it says so; one that says nothing has none registered."""

    NO_GRADIENT = "has no gradient: nothing flows back through it"
    FORBIDDEN = "must not be asked for a gradient"
    NOT_YET = "has a gradient that is not implemented"


NO_GRADIENT, FORBIDDEN, NOT_YET = NonGradient


@dataclass(frozen=True)
class Declared:
    """Where a class or row was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Operator:
    """Base class of all operators. A subclass with a `contract` registers itself under its name.

    Class attributes: `contract` (see contract.py); `docs` (input or output -> text); `gradient` (a line or a
    NonGradient; absent: none registered), or a classmethod `make_gradient`, whose operators get the forward's arguments
    where `copy_arguments`; `inplace`, `inplace_enforced`, `arity`, `private` (see OpSchema); `extension` (of caffe2ops,
    not of Caffe2); `input_devices`, `output_devices` (name -> "cpu", "cuda" or "any", where it is not the device that
    the operator runs on); `unwritten` (inputs of dtype blob that may be empty: the kernel gets None); `engines`
    (engine -> module that defines it, imported when asked for); `mutex` (the input that is a mutex, held from reading
    the blobs to writing them). Arguments are annotated attributes made by `Arg`.
    """

    contract: ClassVar[str] = ""
    gradient: ClassVar[str | NonGradient | None] = None
    copy_arguments: ClassVar[bool] = True
    docs: ClassVar[Mapping[str, str]] = {}
    inplace: ClassVar[Any] = ()
    inplace_enforced: ClassVar[Any] = ()
    arity: ClassVar[Any] = ()
    input_devices: ClassVar[Mapping[str, str]] = {}
    output_devices: ClassVar[Mapping[str, str]] = {}
    private: ClassVar[bool] = False
    extension: ClassVar[bool] = False
    unwritten: ClassVar[Sequence[str]] = ()
    mutex: ClassVar[str] = ""
    engines: ClassVar[Mapping[str, str]] = {}
    type: ClassVar[str] = ""
    engine: ClassVar[str] = ""
    declared: ClassVar[Declared]
    arg_specs: ClassVar[dict[str, ArgSpec]] = {}
    parsed: ClassVar[contracts.Contract]
    has_short_cut: ClassVar[bool] = False
    _schema: ClassVar[OpSchema | None] = None

    run_cpu: Callable[..., Any]
    run_cuda: Callable[..., Any]
    make_gradient: Callable[[GradientMaker], list[OperatorDef]]

    def __init_subclass__(
        cls, *, type_name: str = "", engine: str = "", declared: Declared | None = None, **kwargs: Any
    ):
        super().__init_subclass__(**kwargs)
        cls._collect_args()
        if not cls.contract:
            return
        cls._schema = None
        cls.parsed = contracts.parse(cls.contract)
        for port in (*cls.parsed.inputs, *cls.parsed.outputs):
            if port.dtype.startswith("$") and port.dtype[1:] not in cls.arg_specs:
                raise ValueError(f"contract {cls.contract!r}: {port.dtype} is no argument of {cls.__name__}")
        cls.engine = engine
        cls.has_short_cut = cls.bind is not Operator.bind
        if not engine or type_name:
            cls.type = type_name or cls.__name__
        if declared is None:
            frame = sys._getframe(1)
            declared = Declared(frame.f_code.co_filename, frame.f_lineno)
        cls.declared = declared
        registry.register(cls)

    @classmethod
    def _collect_args(cls) -> None:
        own = {name: spec for name, spec in cls.__dict__.items() if isinstance(spec, ArgSpec)}
        for name, spec in own.items():
            spec.name, spec.type = name, annotated(inspect.get_annotations(cls).get(name, ""))
            if spec.type not in ARG_TYPES:
                raise TypeError(
                    f"{cls.__name__}.{name}: annotated {spec.type!r}, an Arg wants one of {', '.join(ARG_TYPES)}"
                )
            if spec.default is not None and not spec.required:
                _check_default(spec, cls.__name__)
        inherited = {
            name: spec for base in reversed(cls.__mro__[1:]) for name, spec in getattr(base, "arg_specs", {}).items()
        }
        cls.arg_specs = {**inherited, **own}

    def __init__(
        self,
        op_def: OperatorDef,
        workspace: Workspace | None = None,
        inputs: Sequence[Blob] = (),
        outputs: Sequence[Blob] = (),
        *,
        device: str = "cpu",
        strict: bool = False,
    ):
        self.op_def = op_def
        self.workspace: Workspace = workspace  # type: ignore[assignment]
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.n_inputs, self.n_outputs = len(op_def.input), len(op_def.output)
        self.device = device
        self.results: Sequence[Any] = ()  # of the last checked run, where there is a short cut
        self.signature: Any = None  # dtypes, shapes and types of the inputs that were checked last
        self.schema_of().verify(op_def)
        for name, value in read_args(op_def, self.arg_specs, self.type, strict).items():
            setattr(self, name, value)

    # --- what the engine asks ---

    def again(self, workspace: Workspace | None, inputs: Sequence[Blob], outputs: Sequence[Blob]) -> Operator:
        """The same operator on other blobs: nothing is read or checked again.

        For an operator that has not run: a copy shares what it keeps from a run.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.workspace = workspace  # type: ignore[assignment]
        other.inputs, other.outputs = tuple(inputs), tuple(outputs)
        return other

    @classmethod
    def schema_of(cls) -> OpSchema:
        """The OpSchema of this operator type."""
        if cls._schema is None:
            cls._schema = _build_schema(cls)
        return cls._schema

    def has_arg(self, name: str) -> bool:
        """Whether the definition gives this argument."""
        return name in self.op_def.args

    def arg_value(self, name: str) -> Any:
        """The value of an argument that a contract names, None where there is no such argument."""
        return getattr(self, name) if name in self.arg_specs else None

    def check(self, values: Sequence[Any]) -> None:
        """Compares inputs with the contract, once per change of their dtypes and shapes."""
        signature = _signature(values)
        if signature != self.signature:
            self._check_devices(values)
            specs = [None if s is None else TensorSpec(s[1], s[0]) for s in signature]
            self.parsed.check(specs, self.arg_value)
            self.signature = signature

    def _check_devices(self, values: Sequence[Any]) -> None:
        if self.device == "cpu" and all(isinstance(v, np.ndarray) for v in values):
            return
        wanted, _ = self.infer_devices()
        for (port, value), device in zip(self.parsed.pair(self.parsed.inputs, values), wanted):
            if device == "any" or not hasattr(value, "dtype") or value.dtype == object:  # strings stay on the CPU
                continue
            if not isinstance(value, registry.array_type(device)):
                raise TypeError(
                    f"{port.name}: is not on the device {device}, where {self.type} wants it; copy it with "
                    f"{'CopyCPUToGPU' if device == 'cuda' else 'CopyGPUToCPU'}"
                )

    def infer_devices(self) -> tuple[list[str], list[str]]:
        """The devices ("cpu", "cuda", or "any") that the inputs must be on and that the outputs will be on."""

        def devices(ports: tuple[contracts.Port, ...], count: int, special: Mapping[str, str]) -> list[str]:
            return [special.get(port.name, self.device) for port, _ in self.parsed.pair(ports, range(count))]

        return (
            devices(self.parsed.inputs, self.n_inputs, self.input_devices),
            devices(self.parsed.outputs, self.n_outputs, self.output_devices),
        )

    def takes_empty(self, blob: Blob) -> bool:
        """Whether the kernel gets None for an input blob that nothing has been written to."""
        ports = self.parsed.pair(self.parsed.inputs, self.inputs) if self.unwritten else []
        return any(given is blob and port.name in self.unwritten for port, given in ports)

    def checked(self, values: Sequence[Any]) -> bool:
        """Whether these are of the dtypes and shapes that were checked last."""
        return bool(_signature(values) == self.signature)

    def infer_specs(self, inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """The specs of the outputs; what does not follow from the inputs is unknown. Raises as a run would."""
        bound = self.parsed.check(inputs, self.arg_value)
        outputs = self.parsed.infer(bound, self.n_outputs, self.arg_value)
        if type(self).infer is Operator.infer:
            return outputs
        try:
            found = self.infer(*inputs)
        except UnknownShape:
            return tuple(TensorSpec(None, spec.dtype) for spec in outputs)
        return tuple(found if isinstance(found, (tuple, list)) else (found,))[: self.n_outputs]

    def infer_cost(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Cost:
        """The cost of one run; all None where a shape is unknown."""
        try:
            cost = self.cost(tuple(inputs), tuple(outputs))
        except UnknownShape:
            return Cost(None, None, None)
        return Cost(
            *(
                v if isinstance(v, (int, np.integer)) else None
                for v in (cost.flops, cost.bytes_read, cost.bytes_written)
            )
        )

    # --- what a subclass may override ---

    def infer(self, *inputs: TensorSpec) -> Any:
        """Specs of the outputs where the contract line cannot say them; dims may be UNKNOWN."""
        raise NotImplementedError

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        """Floating point operations and bytes of one run; by default each byte is moved once and nothing is
        computed."""
        return Cost(0, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    def bind(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> Step | None:
        """A call without arguments that computes exactly these arrays anew, for operators whose output shapes follow
        from
        the input shapes alone; None where there is no such short cut."""
        return None

    def cancel(self) -> None:
        """Ends what a run on another thread waits for; most operators never wait."""

    # --- what kernels use ---

    def out(self, i: int, shape: Sequence[int], dtype: Any) -> Array:
        """A buffer for output i: the array its blob holds where shape and dtype fit, else a fresh one (contents
        undefined)."""
        shape = tuple(shape)
        if i < len(self.outputs):
            held = self.outputs[i].value
            if (
                getattr(held, "shape", None) == shape
                and held.dtype == dtype
                and isinstance(held, registry.array_type(self.device))
            ):
                return held
        return registry.array_module(self.device).empty(shape, dtype)

    @property
    def seed(self) -> int | None:
        """The random seed of the device option, None where none is given."""
        option = self.op_def.device_option
        return option.random_seed if option is not None and "random_seed" in option.model_fields_set else None


def _check_default(spec: ArgSpec, where: str) -> None:
    try:
        ARG_TYPES[spec.type](spec.default)
    except (TypeError, ValueError):
        raise TypeError(f"{where}.{spec.name}: the default is {spec.default!r}, wants {spec.type}") from None


def _signature(values: Sequence[Any]) -> list[Any]:
    return [(v.dtype, v.shape, type(v)) if hasattr(v, "dtype") else None for v in values]


def _build_schema(cls: type[Operator]) -> OpSchema:
    def ports(of: tuple[contracts.Port, ...]) -> tuple[PortSchema, ...]:
        return tuple(PortSchema(**vars(port), doc=cls.docs.get(port.name, "")) for port in of)

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return list(value)
        return None if value is REQUIRED or isinstance(value, np.ndarray) else value

    def listed(pairs: Any) -> Any:
        return pairs if isinstance(pairs, str) else tuple(pairs)

    (min_in, max_in), (min_out, max_out) = cls.parsed.counts(cls.parsed.inputs), cls.parsed.counts(cls.parsed.outputs)
    gradient: Any = cls.gradient.name if isinstance(cls.gradient, NonGradient) else cls.gradient
    return OpSchema(
        type=cls.type,
        doc=inspect.cleandoc(cls.__doc__ or ""),
        contract=" ".join(cls.contract.split()),
        inputs=ports(cls.parsed.inputs),
        outputs=ports(cls.parsed.outputs),
        min_input=min_in,
        max_input=max_in,
        min_output=min_out,
        max_output=max_out,
        arity=listed(cls.arity),
        args=tuple(
            ArgSchema(
                name=s.name,
                type=s.type,
                required=s.required,
                default=plain(s.default),
                choices=s.choices,
                doc=s.doc,
                **s.bounds,
            )
            for s in cls.arg_specs.values()
        ),
        inplace=listed(cls.inplace),
        inplace_enforced=listed(cls.inplace_enforced),
        gradient="make_gradient" if gradient is None and hasattr(cls, "make_gradient") else gradient,
        devices=tuple(d for d in ("cpu", "cuda") if hasattr(cls, f"run_{d}")),
        engines=tuple(cls.engines),
        private=cls.private,
        extension=cls.extension,
        source=registry.relative(cls.declared.file),
    )


def row(name: str, doc: str, base: type[Operator], depth: int = 1, **members: Any) -> type[Operator]:
    """Declares one member of a family: a subclass of `base` named `name` with these class members.

    Factories of rows call it; `depth` is how many calls lie between it and the module that holds the row.
    """
    frame = sys._getframe(depth)
    declared = Declared(frame.f_code.co_filename, frame.f_lineno)
    members.update(__doc__=doc, __module__=frame.f_globals["__name__"], __qualname__=name)
    made: type[Operator] = types.new_class(name, (base,), {"declared": declared}, lambda body: body.update(members))
    return made
