"""caffe2ops draw"""

from __future__ import annotations

from pathlib import Path

import typer

from caffe2ops.cli import nets
from caffe2ops.cli.check import examine
from caffe2ops.cli.nets import console
from caffe2ops.draw import draw as graph_of
from caffe2ops.draw import svg


def draw(
    net: Path = typer.Argument(help="A net, a predictor export, or a folder with an init/predict pair."),
    output: Path = typer.Option(..., "--output", "-o", metavar="NET.svg|NET.gv", help="The picture, or its source."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option([], metavar=nets.SHAPE, help="The shape of an input (? for a dim that varies)."),
) -> None:
    """Draw a net with its shapes: the picture (.svg; wants Graphviz) or the graph in the dot language (.gv)."""
    if output.suffix not in (".svg", ".gv", ".dot"):
        raise ValueError(f"--output {output}: wants a name that ends in .svg, .gv or .dot")
    model = nets.open_model(net, init)
    found = examine(model, nets.shapes_of(shape, model))
    graph = graph_of(model.net, found.inference, found.parameters)
    with console.status(f"drawing {output}"):
        output.write_text(svg(graph) if output.suffix == ".svg" else graph.source, encoding="utf-8")
    console.print(f"{output}: {len(model.net.op)} operators", highlight=False)
