"""What operators still lack: found by looking, and owned up to in tests/debts.toml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from caffe2ops import registry
from caffe2ops.gradient_rules import gradient_of
from caffe2ops.operator import NonGradient

from . import facts
from .call import definition
from .sample import Sample, collect

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATH = Path(__file__).parents[1] / "debts.toml"
ENTRIES: list[dict[str, Any]] = tomllib.loads(PATH.read_text()).get("debt", [])
DEBTS: dict[tuple[str, str], str] = {
    (name, debt["what"]): debt["reason"] for debt in ENTRIES for name in debt["operators"]
}
WHAT = ("sample", "gradient", "cuda")


def missing() -> set[tuple[str, str]]:
    """(operator, what) for everything that is not there."""
    classes = [cls for cls in registry.classes() if cls.__module__.startswith("caffe2ops.ops.")]
    covered = sampled()
    found = {(cls.type, "sample") for cls in classes if cls.type not in covered}
    found |= {(cls.type, "cuda") for cls in classes if not hasattr(cls, "run_cuda")}
    for cls in classes:
        none = isinstance(cls.gradient, NonGradient) or (cls.gradient is None and not hasattr(cls, "make_gradient"))
        if none and facts.kind_of_gradient(cls.type) == "some":
            found.add((cls.type, "gradient"))
    return found


def sampled() -> set[str]:
    """Operators that some sample runs: its own, and those that its gradient is made of."""
    known = set(registry.types())
    samples = [sample for sample in collect() if sample.error is None and sample.op in known]
    return {sample.op for sample in samples} | {name for sample in samples for name in gradient_operators(sample)}


def gradient_operators(sample: Sample) -> set[str]:
    """The operators that the gradient of a sample's operator is made of; none where it has no gradient."""
    op = definition(sample)
    try:
        return {made.type for made in gradient_of(op, [f"{name}_grad" for name in op.output])[0]}
    except Exception:
        return set()
