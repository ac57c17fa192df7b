"""caffe2ops check"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from caffe2ops import registry
from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.defs import NetDef
from caffe2ops.errors import UnknownOperator, did_you_mean
from caffe2ops.infer import Inference, TensorSpec, as_spec, human, infer_shapes, peak_memory


def check(
    net: Path = typer.Argument(help="A predict net, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option([], metavar="NAME=1,3,224,224", help="The shape of an input (float32)."),
) -> None:
    """Find what is wrong with a net without running it; exit status 1 if anything is."""
    found = examine(nets.open_model(net, init), nets.shapes_of(shape))
    _print_summary(found)
    for text in found.warnings:
        console.print(f"[yellow]warning:[/] {text}", highlight=False)
    for text in found.errors:
        console.print("[red]error:[/]", end=" ")
        console.print(text, markup=False, highlight=False)
    console.print(f"{len(found.errors)} errors, {len(found.warnings)} warnings", highlight=False)
    if found.errors:
        raise typer.Exit(1)


@dataclass
class Findings:
    """What is known of a model without running it."""

    model: nets.Model
    inference: Inference
    parameters: dict[str, TensorSpec]
    errors: list[str]
    warnings: list[str]


def examine(model: nets.Model, shapes: Mapping[str, Any]) -> Findings:
    """Infers shapes from the parameters and the given shapes, and looks for what would fail or serves nobody."""
    errors: list[str] = []
    specs: dict[str, TensorSpec] = {}
    for definition in model.init:
        made = infer_shapes(definition)
        errors += [str(e) for e in made.errors]
        specs.update(made.specs)
    arrays = {name: as_spec(value) for name, value in model.blobs.items() if hasattr(value, "dtype")}
    parameters = {**arrays, **specs}
    found = infer_shapes(model.net, {**parameters, **shapes})
    errors += [str(e) for e in found.errors if not isinstance(e.__cause__, UnknownOperator)]
    errors += _unknown_types([*model.init, model.net])
    missing, unused = _blobs(model, set(parameters))
    if parameters or model.net.external_input:
        errors += missing
    return Findings(model, found, parameters, errors, unused)


def _unknown_types(definitions: list[NetDef]) -> list[str]:
    """One line for each operator type that is not registered."""
    known = registry.types()
    counts: dict[str, int] = {}
    for op in (op for net in definitions for op in net.op):
        if op.type not in known:
            counts[op.type] = counts.get(op.type, 0) + 1
    return [
        f"{n} operator{'s' * (n > 1)} of unknown type {kind!r}{did_you_mean(kind, known)}" for kind, n in counts.items()
    ]


def _blobs(model: nets.Model, made: set[str]) -> tuple[list[str], list[str]]:
    """Blobs that nobody writes (errors) and those that nobody reads (warnings)."""
    net = model.net
    externals = set(net.external_input) | set(model.inputs)
    written: set[str] = set()
    missing = []
    for index, op in enumerate(net.op):
        for name in op.input:
            if name not in written | made | externals and not (not externals and not made):
                near = did_you_mean(name, written | made | externals)
                missing.append(f"operator {index} ({op.type}) reads {name!r}, which nothing writes{near}")
        written.update(op.output)
    missing += [
        f"external output {name!r} is never written"
        for name in net.external_output
        if name not in written | externals | made
    ]
    read = {name for op in net.op for name in op.input} | set(model.fetched())
    unused = [f"parameter {name!r} is never read" for name in sorted(made - read)]
    unused += [f"external input {name!r} is never read" for name in net.external_input if name not in read]
    return missing, unused


def summary(findings: Findings) -> list[tuple[str, str]]:
    """What, and how much."""
    model, found = findings.model, findings.inference
    sizes = [spec.size for spec in findings.parameters.values() if isinstance(spec.size, int)]
    known = sum(1 for _, outputs, _ in found.steps for spec in outputs if spec.known)
    outputs = sum(len(op.output) for op in model.net.op)
    return [
        ("operators", str(len(model.net.op))),
        ("parameters", f"{human(sum(sizes))} in {len(sizes)} blobs"),
        ("outputs with known shape", f"{known} of {outputs}"),
        ("floating point operations", human(found.flops)),
        ("bytes moved", human(found.bytes_moved, "B")),
        ("peak memory", human(peak_memory(model.net, found), "B")),
        *((f"output {name}", str(found.specs.get(name, "?"))) for name in model.fetched()),
    ]


def _print_summary(findings: Findings) -> None:
    table = nets.table(f"net {findings.model.net.name!r}", "what", "how much")
    for row in summary(findings):
        table.add_row(*row)
    console.print(table)
