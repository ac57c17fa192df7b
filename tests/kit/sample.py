"""One call of one operator that the test matrix makes, and the collection of all of them.

    from tests.kit.sample import Sample, rng

    samples = [
        Sample("LengthsTopK", [x, lengths], {"k": 2}, note="ties"),
        Sample("LengthsTopK", [x, lengths], {"k": 0}, error="k = 0", note="k zero"),
    ]

Inputs must be deterministic and small, of unequal dims (equal dims hide swaps); use `rng(seed)`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Blob:
    """An input that an operator of `before` made (opaque things: mutexes, DB readers), or that exists by name only."""

    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """Inputs and arguments of one operator, and what is known about the answer.

    The answer itself, an error's too, is recorded from the real Caffe2 (python -m tests.golden.record) unless `golden`
    is false; then `reason` says why the reference cannot be asked (an extension dtype) or is not followed (it reads out
    of bounds where caffe2ops refuses).
    """

    op: str
    inputs: Sequence[Any] = ()  # arrays (object arrays of bytes for strings), opaque objects, or Blob("name")
    args: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""  # what is special about it; part of the test's id
    outputs: int | None = None  # how many outputs; None: the fewest that the contract allows
    inplace: Mapping[int, int] = field(default_factory=dict)  # {output: input} that share a blob
    before: Sequence[tuple[Any, ...]] = ()  # (type, inputs, outputs, args), or with an engine behind
    error: str | None = None  # regex that the error's message must match; the operator refuses this sample
    expected: Sequence[Any] | None = None  # the outputs, computed apart, where the real Caffe2 cannot be asked
    golden: bool = True  # whether the real Caffe2 can answer it
    reason: str = ""  # why not golden / why a tolerance / why not differentiable
    tolerance: tuple[float, float] | None = None  # (rtol, atol) against the golden answer, instead of the table's
    random: bool = False  # the golden answer fixes only shapes and dtypes (and `seed` does not help)
    stateful: bool = False  # the operator keeps something from run to run: a second run answers otherwise
    seed: int | None = None  # DeviceOption.random_seed: random operators that follow Caffe2's generator bit for bit
    differentiable: bool = True  # False: leave out the gradient checks for this sample
    devices: tuple[str, ...] = ("cpu", "cuda")  # where it runs
    engine: str = ""

    family: str = ""  # set by `collect`: the module in tests/samples
    index: int = 0  # set by `collect`: running number among the samples of the operator

    def __repr__(self) -> str:
        return f"<Sample {self.id}>"

    @property
    def id(self) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", self.note.lower()).strip("-")
        return "-".join(part for part in (self.op, str(self.index), slug) if part)

    @property
    def input_names(self) -> list[str]:
        return [value.name if isinstance(value, Blob) else f"in{i}" for i, value in enumerate(self.inputs)]


def rng(seed: int = 0) -> np.random.Generator:
    """The generator that samples draw their inputs from."""
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal float32."""
    return rng(seed + len(shape)).standard_normal(shape).astype(np.float32)


def int32s(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def int64s(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def strings(*values: str | bytes) -> np.ndarray:
    """A tensor of strings as caffe2ops holds it: an object array of bytes."""
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    out = np.empty(len(encoded), dtype=object)
    out[:] = encoded
    return out


@cache
def collect() -> tuple[Sample, ...]:
    """All samples of all modules in tests/samples, numbered per operator in the order they stand."""
    from dataclasses import replace

    package = importlib.import_module("tests.samples")
    counts: dict[str, int] = {}
    found: list[Sample] = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        for sample in importlib.import_module(f"tests.samples.{info.name}").samples:
            counts[sample.op] = counts.get(sample.op, -1) + 1
            found.append(replace(sample, family=info.name, index=counts[sample.op]))
    return tuple(found)
