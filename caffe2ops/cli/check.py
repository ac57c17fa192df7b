"""caffe2ops check"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from caffe2ops import registry
from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.dataflow import nets_within, read_by
from caffe2ops.defs import NetDef
from caffe2ops.errors import UnknownOperator, did_you_mean
from caffe2ops.infer import Inference, TensorSpec, as_spec, human, infer_shapes, peak_memory
from caffe2ops.qtensor import QTensor

NAMED = 12  # inputs and outputs that a summary names


def check(
    net: Path = typer.Argument(help="A predict net, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option([], metavar=nets.SHAPE, help="The shape of an input (? for a dim that varies)."),
) -> None:
    """Find what is wrong with a net without running it; exit status 1 if anything is."""
    model = nets.open_model(net, init)
    found = examine(model, nets.shapes_of(shape, model))
    _print_summary(found)
    for text in found.warnings:
        nets.say("warning", text)
    for text in found.errors:
        nets.say("error", text)
    console.print(f"{len(found.errors)} errors, {len(found.warnings)} warnings", highlight=False)
    if found.errors:
        raise typer.Exit(1)


@dataclass
class Findings:
    """What is known of a model without running it."""

    model: nets.Model
    inference: Inference
    parameters: dict[str, TensorSpec]
    inputs: dict[str, TensorSpec]
    errors: list[str]
    warnings: list[str]


def examine(model: nets.Model, shapes: Mapping[str, Any], made: Mapping[str, Any] | None = None) -> Findings:
    """Infers shapes from the parameters and the given shapes, and looks for what would fail or serves nobody.

    `made`: the values of parameters, where they are at hand.
    """
    errors: list[str] = []
    specs: dict[str, TensorSpec] = {}
    for definition in model.init:
        inits = infer_shapes(definition)
        errors += [str(e) for e in inits.errors if not isinstance(e.__cause__, UnknownOperator)]
        specs.update(inits.specs)
    parameters = {**_specs(model.blobs), **specs, **_specs(made or {})}
    found = infer_shapes(model.net, {**parameters, **shapes})
    errors += [str(e) for e in found.errors if not isinstance(e.__cause__, UnknownOperator)]
    errors += _unknown_types([*model.init, model.net])
    missing, unused = _blobs(model, set(parameters))
    if parameters or model.net.external_input:
        errors += missing
    if not model.net.op:
        unused.append("the net has no operators")
    inputs = {name: as_spec(shapes.get(name)) for name in read_by(model.net) if name not in parameters}
    return Findings(model, found, parameters, inputs, errors, unused)


def _specs(values: Mapping[str, Any]) -> dict[str, TensorSpec]:
    data = {name: value.data if isinstance(value, QTensor) else value for name, value in values.items()}
    return {name: as_spec(value) if hasattr(value, "dtype") else TensorSpec() for name, value in data.items()}


def _unknown_types(definitions: list[NetDef]) -> list[str]:
    """One line for each operator type that is not registered."""
    known = registry.types()
    counts: dict[str, int] = {}
    inner = [net for outer in definitions for _, net in nets_within(outer)]
    for op in (op for net in (*definitions, *inner) for op in net.op):
        if op.type not in known:
            counts[op.type] = counts.get(op.type, 0) + 1
    return [
        f"{n} operator{'s' * (n > 1)} of unknown type {kind!r}{did_you_mean(kind, known)}" for kind, n in counts.items()
    ]


def _blobs(model: nets.Model, made: set[str]) -> tuple[list[str], list[str]]:
    """Blobs that nobody writes (errors) and those that nobody reads (warnings)."""
    net = model.net
    known = {*net.external_input, *model.inputs, *made}
    missing = []
    for index, op in enumerate(net.op):
        for name in op.input:
            if name not in known:
                near = did_you_mean(name, known)
                missing.append(f"operator {index} ({op.type}) reads {name!r}, which nothing writes{near}")
        known.update(op.output)
    missing += [f"external output {name!r} is never written" for name in net.external_output if name not in known]
    definitions = (net, *(inner for _, inner in nets_within(net)))
    read = {name for definition in definitions for op in definition.op for name in op.input} | set(model.fetched())
    unused = [f"parameter {name!r} is never read" for name in sorted(made - read)]
    unused += [f"external input {name!r} is never read" for name in net.external_input if name not in read | made]
    return missing, unused


def summary(findings: Findings) -> list[tuple[str, str]]:
    """What, and how much."""
    model, found = findings.model, findings.inference
    sizes = [spec.size for spec in findings.parameters.values() if isinstance(spec.size, int)]
    known = sum(1 for _, outputs, _ in found.steps for spec in outputs if spec.known)
    outputs = sum(len(op.output) for op in model.net.op)
    unsized = len(findings.parameters) - len(sizes)
    unpriced = sum(None in (cost.flops, cost.bytes_read, cost.bytes_written) for _, _, cost in found.steps)
    rest = f", without {unpriced} operators of unknown shapes" * bool(unpriced)
    return [
        ("operators", str(len(model.net.op))),
        ("parameters", f"{human(sum(sizes))} in {len(sizes)} blobs" + f", {unsized} of unknown size" * bool(unsized)),
        ("outputs with known shape", f"{known} of {outputs}"),
        ("floating point operations", human(found.flops) + rest),
        ("bytes moved", human(found.bytes_moved, "B") + rest),
        ("peak memory", human(peak_memory(model.net, found), "B") + rest),
        *_named("input", findings.inputs),
        *_named("output", {name: found.specs.get(name, TensorSpec()) for name in model.fetched()}),
    ]


def _named(what: str, specs: Mapping[str, TensorSpec]) -> list[tuple[str, str]]:
    rows = [(f"{what} {name}", str(spec)) for name, spec in specs.items()]
    return [*rows[:NAMED], (f"more {what}s", str(len(rows) - NAMED))] if len(rows) > NAMED + 1 else rows


def _print_summary(findings: Findings) -> None:
    table = nets.table(f"net {findings.model.net.name!r}", "what", "how much")
    for row in summary(findings):
        table.add_row(*map(escape, row))
    console.print(table)
