"""OpSchema: what the registry knows of an operator, and the check of an OperatorDef against it."""

from __future__ import annotations

from functools import cache
from itertools import product
from types import CodeType
from typing import Any

from pydantic import BaseModel, ConfigDict

from caffe2ops.defs import OperatorDef
from caffe2ops.errors import SchemaError


class PortSchema(BaseModel):
    """An input or output: `dims` is None where any shape will do (input) or where it has the shape of the input it
    names."""

    model_config = ConfigDict(frozen=True)
    name: str
    dtype: str
    dims: tuple[str, ...] | None
    optional: bool = False
    variadic: bool = False
    doc: str = ""


class ArgSchema(BaseModel):
    """An argument: type as written in Python, default (None and `required` where there is none), bounds, choices."""

    model_config = ConfigDict(frozen=True)
    name: str
    type: str
    required: bool
    default: Any = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str | int, ...] = ()
    doc: str = ""


class OpSchema(BaseModel):
    """The contract of an operator type, as Caffe2's OpSchema has it and more.

    `inputs`/`outputs` name the ports; `arity` lists the allowed (inputs, outputs) counts where bounds alone don't say
    it; `inplace` the (input, output) pairs that may share a blob, `inplace_enforced` those that must; `gradient` the
    gradient line or the kind of none; `source` where it is declared. In the place of a list of pairs there may be a
    rule as Python writes it: "inputs == 2 * outputs" of counts, "input == output + 1" of a pair, "any" for all pairs.
    """

    model_config = ConfigDict(frozen=True)
    type: str
    doc: str
    contract: str
    inputs: tuple[PortSchema, ...]
    outputs: tuple[PortSchema, ...]
    min_input: int
    max_input: int | None
    min_output: int
    max_output: int | None
    arity: tuple[tuple[int, int], ...] | str = ()
    args: tuple[ArgSchema, ...] = ()
    inplace: tuple[tuple[int, int], ...] | str = ()
    inplace_enforced: tuple[tuple[int, int], ...] | str = ()
    gradient: str | None = None
    devices: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    private: bool = False
    extension: bool = False
    source: str = ""

    def verify(self, op: OperatorDef) -> None:
        """Raises SchemaError where counts or in-place pairs of a definition are not as the schema wants them."""
        n_in, n_out = len(op.input), len(op.output)
        for what, n, least, most, ports in (
            ("input", n_in, self.min_input, self.max_input, self.inputs),
            ("output", n_out, self.min_output, self.max_output, self.outputs),
        ):
            if n < least or (most is not None and n > most):
                wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
                names = ", ".join(port.name for port in ports)
                raise SchemaError(
                    f"{self.type}: has {n} {what}{'s' * (n != 1)}, wants {wanted}{f' ({names})' if names else ''}"
                )
        if self.arity and not self.allows(n_in, n_out):
            wanted = self.arity if isinstance(self.arity, str) else " or ".join(f"{i} and {o}" for i, o in self.arity)
            raise SchemaError(f"{self.type}: has {n_in} inputs and {n_out} outputs, wants {wanted}")
        for i, name in enumerate(op.input):
            for j in (j for j, out in enumerate(op.output) if out == name):
                if not self.may_share(i, j) and not any(
                    self.may_share(k, j) for k, n in enumerate(op.input) if n == name
                ):
                    raise SchemaError(
                        f"{self.type}: output {j} is input {i} ({name!r}), which may not be computed in place"
                    )
        for i, j in product(range(n_in), range(n_out)) if self.inplace_enforced else ():
            if op.input[i] != op.output[j] and self.must_share(i, j):
                raise SchemaError(
                    f"{self.type}: output {j} ({op.output[j]!r}) must be input {i} ({op.input[i]!r}): updated in place"
                )

    def allows(self, inputs: int, outputs: int) -> bool:
        """Whether `arity` allows these counts."""
        return not self.arity or _among(self.arity, inputs=inputs, outputs=outputs)

    def may_share(self, i: int, j: int) -> bool:
        """Whether input i and output j may be the same blob."""
        return _among(self.inplace, input=i, output=j) or self.must_share(i, j)

    def must_share(self, i: int, j: int) -> bool:
        """Whether output j is always input i, updated."""
        return _among(self.inplace_enforced, input=i, output=j)


def _among(pairs: tuple[tuple[int, int], ...] | str, **pair: int) -> bool:
    """Whether a pair, whose parts a rule knows by these names, is in a list of pairs or follows the rule."""
    if isinstance(pairs, str):
        return bool(eval(_compiled(pairs), {"__builtins__": {}, "any": True}, pair))
    return tuple(pair.values()) in pairs


@cache
def _compiled(rule: str) -> CodeType:
    return compile(rule, f"<rule {rule}>", "eval")
