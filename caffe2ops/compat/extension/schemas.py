"""What is registered: operators, their schemas, engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from caffe2ops import registry, schema
from caffe2ops.compat.extension.definitions import one_operator
from caffe2ops.compat.extension.workspaces import ENGINES
from caffe2ops.errors import UnknownOperator

# In the registry once `compat.install` has been called, or a function has been registered for them.
PYTHON_OPERATORS = ("Python", "PythonDLPack", "PythonDLPackGradient", "PythonGradient")
MOST = 2**31 - 1  # what the original calls infinity


class OpSchema:
    """The schema of an operator type; `OpSchema.get(type)` gives it, None where there is none."""

    inf = MOST

    @dataclass(frozen=True)
    class Argument:
        name: str
        description: str
        required: bool

    def __init__(self, found: schema.OpSchema, line: int):
        self._schema = found
        self.file, self.line = found.source, line
        self.private, self.doc = found.private, found.doc
        self.min_input, self.max_input = found.min_input, MOST if found.max_input is None else found.max_input
        self.min_output, self.max_output = found.min_output, MOST if found.max_output is None else found.max_output
        self.args = [self.Argument(arg.name, f"*(type: {arg.type})* {arg.doc}", arg.required) for arg in found.args]
        self.input_desc = [(port.name, port.doc) for port in found.inputs]
        self.output_desc = [(port.name, port.doc) for port in found.outputs]

    @classmethod
    def get(cls, type_name: str) -> OpSchema | None:
        try:
            found = registry.get(type_name)
        except UnknownOperator:
            return None
        return cls(found.schema_of(), found.declared.line)

    @staticmethod
    def get_cpu_impl(type_name: str) -> str:
        return _implementation(type_name, "run_cpu")

    @staticmethod
    def get_cuda_impl(type_name: str) -> str:
        return _implementation(type_name, "run_cuda")

    @staticmethod
    def get_gradient_impl(type_name: str) -> str:
        try:
            found = registry.get(type_name)
        except UnknownOperator:
            return ""
        return found.declared.file if found.schema_of().gradient else ""

    def num_inputs_allowed(self, count: int) -> bool:
        return self.min_input <= count <= self.max_input

    def num_outputs_allowed(self, count: int) -> bool:
        return self.min_output <= count <= self.max_output

    def num_inputs_outputs_allowed(self, inputs: int, outputs: int) -> bool:
        return self._schema.allows(inputs, outputs)

    def inplace_enforced(self, input_index: int, output_index: int) -> bool:
        return self._schema.must_share(input_index, output_index)

    def CalculateOutput(self, inputs: int) -> int:  # noqa: N802
        """How many outputs there are for a number of inputs, -1 where that does not follow."""
        fits = [n for n in range(self.min_output, min(self.max_output, 64) + 1) if self._schema.allows(inputs, n)]
        return fits[0] if len(fits) == 1 else -1


def _implementation(type_name: str, method: str) -> str:
    try:
        found = registry.get(type_name)
    except UnknownOperator:
        return ""
    return found.declared.file if hasattr(found, method) else ""


def registered_operators() -> list[str]:
    return sorted({*registry.types(), *PYTHON_OPERATORS})


def nearby_opnames(name: str) -> list[str]:
    """Registered operators with names like this one."""
    return get_close_matches(name, registry.types(), n=8, cutoff=0.6)


def op_registry_key(op_type: str, engine: str) -> str:
    """The key of an operator of an engine, as the original has it."""
    return op_type if engine in ("", "DEFAULT") else f"{op_type}_ENGINE_{engine}"


def set_engine_pref(per_op: Mapping[int, Mapping[str, Sequence[str]]], for_all: Mapping[int, Sequence[str]]) -> None:
    """Engines to prefer, by device type and operator type, and for all operators of a device type."""
    set_per_op_engine_pref(per_op)
    set_global_engine_pref(for_all)


def set_per_op_engine_pref(per_op: Mapping[int, Mapping[str, Sequence[str]]]) -> None:
    for name in [name for name in ENGINES if name != "*"]:
        _forget(name)
    for device in sorted(per_op):
        for name, engines in per_op[device].items():
            _prefer(name, engines)


def set_global_engine_pref(for_all: Mapping[int, Sequence[str]]) -> None:
    _forget("*")
    for device in sorted(for_all):
        _prefer("*", for_all[device])


def set_op_engine_pref(op_type: str, by_device: Mapping[int, Sequence[str]]) -> None:
    _forget(op_type)
    for device in sorted(by_device):
        _prefer(op_type, by_device[device])


def _prefer(name: str, engines: Sequence[str]) -> None:
    """Adds engines to those preferred; one that has no kernel for a device is passed over there."""
    held = ENGINES.get(name, ())
    ENGINES[name] = (*held, *(engine for engine in engines if engine not in held))
    one_operator.cache_clear()


def _forget(name: str) -> None:
    ENGINES.pop(name, None)
    one_operator.cache_clear()
