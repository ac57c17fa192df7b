"""caffe2ops show"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer
from rich.markup import escape

from caffe2ops import formats
from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.dataflow import nets_within
from caffe2ops.defs import ExecutionStep, NetDef, PlanDef
from caffe2ops.draw import arguments


def show(
    net: Path = typer.Argument(help="A net, a plan, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
) -> None:
    """Print a net as a table of its operators, and the nets within it; of a plan its nets and its steps."""
    loaded = None if net.is_dir() else formats.load(net)
    if isinstance(loaded, PlanDef):
        definitions = [*map(nets.load_net, init), *loaded.network]
    else:
        model = nets.open_model(net, init) if loaded is None else nets.model_of(loaded, net, init)
        definitions = [*model.init, model.net]
    for definition in definitions:
        _print(definition, f"net {definition.name!r}")
        for where, inner in nets_within(definition):
            _print(inner, f"net {inner.name!r}, {where}")
    if isinstance(loaded, PlanDef):
        console.print(escape(f"plan {loaded.name!r}"), highlight=False)
        for step in loaded.execution_step:
            _print_step(step, 1)


def _print(net: NetDef, title: str) -> None:
    table = nets.table(f"{title}: {len(net.op)} operators", "#", "type", "inputs", "outputs", "arguments")
    for index, op in enumerate(net.op):
        kind = f"{op.type} ({op.engine})" if op.engine else op.type
        table.add_row(*map(escape, (str(index), kind, ", ".join(op.input), ", ".join(op.output), arguments(op))))
    console.print(table)
    counts = Counter(op.type for op in net.op).most_common()
    console.print(escape(", ".join(f"{n} {kind}" for kind, n in counts)), highlight=False, style="dim")
    for what, names in (("external inputs", net.external_input), ("external outputs", net.external_output)):
        if names:
            shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
            console.print(escape(f"{what}: {shown}"), highlight=False)


def _print_step(step: ExecutionStep, depth: int) -> None:
    facts = step.model_dump(exclude_defaults=True, exclude={"name", "substep"})
    told = ", ".join(f"{name}={', '.join(value) if name == 'network' else value}" for name, value in facts.items())
    console.print(escape(f"{'  ' * depth}step {step.name!r}: {told}"), highlight=False)
    for inner in step.substep:
        _print_step(inner, depth + 1)
