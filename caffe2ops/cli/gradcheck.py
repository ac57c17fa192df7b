"""caffe2ops gradcheck"""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.gradient_check import check_gradient


def gradcheck(
    net: Path = typer.Argument(help="A net, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    feeds: list[Path] = typer.Option([], help="A .npz whose arrays are fed by their names."),
    feed: list[str] = typer.Option([], metavar="NAME=FILE.npy|VALUE", help="One blob to feed."),
    shape: list[str] = typer.Option([], metavar=nets.SHAPE, help="A random normal input of this shape."),
    wrt: list[str] = typer.Option([], help="A blob to check (default: every float input that gets a gradient)."),
    output: list[str] = typer.Option([], help="A blob to differentiate (default: the float outputs)."),
    tolerance: float = typer.Option(1e-5, help="The greatest relative error that is right."),
) -> None:
    """Compare generated gradients with finite differences in float64; exit status 1 if any is wrong."""
    model = nets.open_model(net, init)
    workspace = model.prepare()
    inputs = {name: workspace.fetch(name) for name in workspace.blobs()}
    inputs |= nets.read_feeds(feeds, feed)
    inputs |= nets.random_inputs(nets.shapes_of(shape, model))
    missing = [name for name in model.expected(workspace) if name not in inputs]
    if missing:
        raise ValueError(f"input {', '.join(missing)} is missing: give --feeds, --feed or --shape {missing[0]}=2,3")
    with console.status("checking"):
        found = check_gradient(model.net, inputs, wrt=wrt or None, outputs=output or None, tolerance=tolerance)
    table = nets.table("Gradients", "blob", "generated#", "finite differences#", "relative error#", "")
    for check in found:
        verdict = "[green]ok[/]" if check.ok else "[red]wrong[/]"
        table.add_row(
            escape(check.blob), f"{check.analytic:.8g}", f"{check.numeric:.8g}", f"{check.error:.2g}", verdict
        )
    console.print(table)
    if not all(check.ok for check in found):
        raise typer.Exit(1)
