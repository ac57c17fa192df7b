"""caffe2ops report"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from caffe2ops.cli import nets
from caffe2ops.cli.check import Findings, examine, summary
from caffe2ops.cli.nets import console
from caffe2ops.draw import draw, svg
from caffe2ops.errors import OperatorError
from caffe2ops.net import Timing
from caffe2ops.report import Report, milliseconds
from caffe2ops.workspace import Workspace


def report(
    net: Path = typer.Argument(help="A net, a predictor export, or a folder with an init/predict pair."),
    output: Path = typer.Option(..., "--output", "-o", metavar="REPORT.html", help="Where to write the page."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option([], metavar=nets.SHAPE, help="The shape of an input (? for a dim that varies)."),
    feeds: list[Path] = typer.Option([], help="A .npz whose arrays are fed by their names, to measure times."),
    runs: int = typer.Option(5, min=1, help="How often to run the net for the times."),
) -> None:
    """Write a page about a net: picture, operators with shapes, costs and times, parameters, and what is wrong.

    Times are measured on the feeds, or on random numbers of the given shapes.
    """
    model = nets.open_model(net, init)
    given = nets.read_feeds(feeds, [])
    shapes = nets.shapes_of(shape, model)
    given = {**nets.random_inputs(shapes), **given}
    notes = []
    workspace = Workspace()
    try:
        with console.status(f"loading {net}"):
            workspace = model.prepare()
    except OperatorError as error:
        notes.append(f"No parameters: {error}.")
    made = {name: workspace.fetch(name) for name in workspace.blobs() if workspace.has(name)}
    found = examine(model, {**shapes, **given}, made)
    page = Report(
        title=model.net.name or net.name,
        net=model.net,
        found=found.inference,
        facts=summary(found),
        parameters={name: made[name] for name in found.parameters if name in made},
        errors=found.errors,
        warnings=found.warnings,
    )
    try:
        with console.status("drawing"):
            page.picture = svg(draw(model.net, found.inference, found.parameters))
    except (ModuleNotFoundError, RuntimeError) as error:
        notes.append(f"No picture: {error}.")
    try:
        with console.status("running"):
            page.timings = _timed(found, workspace, given, runs)
        total = sum(row[3] for row in page.timings)
        page.facts = [
            *page.facts,
            ("time of all operators", f"{milliseconds(total)}, mean of {runs} runs"),
        ]
    except (ValueError, OperatorError) as error:
        notes.append(f"No times: {error}.")
    page.notes = notes
    output.write_text(page.html(), encoding="utf-8")
    console.print(f"{output}: {len(model.net.op)} operators, {len(page.parameters)} parameters", highlight=False)
    for note in notes:
        nets.say("warning", note)


def _timed(found: Findings, workspace: Workspace, given: dict[str, Any], runs: int) -> list[Any]:
    """Rows of Timing. Raises ValueError for want of an input, OperatorError where the net fails."""
    missing = [name for name in found.model.expected(workspace) if name not in given]
    if missing:
        named = ", ".join(missing[:6]) + f" and {len(missing) - 6} more" * (len(missing) > 6)
        raise ValueError(f"give {named} with --feeds or --shape, parameters with --init")
    for name, value in given.items():
        workspace.feed(name, value)
    bound = workspace.create(found.model.net, overwrite=True)
    bound.run()
    timing = Timing()
    bound.observers.append(timing)
    for _ in range(runs):
        bound.run()
    return timing.rows()
