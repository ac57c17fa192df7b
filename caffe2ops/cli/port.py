"""caffe2ops port"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console, human
from caffe2ops.infer import TensorSpec
from caffe2ops.workspace import Workspace


@dataclass
class Request:
    """What the command line asks for: a model, its parameters in a workspace, and the options."""

    model: nets.Model
    workspace: Workspace
    to: list[Path]
    shapes: dict[str, Any]
    feeds: dict[str, Any]
    outputs: list[str]
    opset: int | None
    allow_custom: bool
    trace: bool
    stepwise: bool
    tolerance: float | None


def to_onnx(request: Request) -> bool:
    """Writes an ONNX model and proves it; whether the proof holds."""
    from caffe2ops import port
    from caffe2ops.port.onnx.export import OPSET

    path, net = request.to[0], request.model.net
    with console.status(f"porting {net.name}"):
        model = port.to_onnx(
            net, request.workspace, {**request.feeds, **request.shapes},
            outputs=request.outputs or request.model.outputs,
            opset=request.opset or OPSET, allow_custom=request.allow_custom,
        )  # fmt: skip
        files = model.save(path)
    for note in model.notes:
        console.print(f"[yellow]note:[/] {note}", highlight=False)
    sizes = ", ".join(f"{file.name} ({human(file.stat().st_size, 'B')})" for file in files)
    console.print(f"{sizes} written: {len(model.graph.nodes)} nodes, opset {model.opset}", highlight=False)
    with console.status("running it in onnxruntime"):
        tolerance = {} if request.tolerance is None else {"tolerance": request.tolerance}
        feeds = [request.feeds] if request.feeds else []
        options: dict[str, Any] = {"trace": request.trace, "stepwise": request.stepwise, **tolerance}
        proof = port.prove(model, *feeds, path=str(path), **options)
    table = nets.table("model against caffe2ops", "output", "holds", "max abs#", "max rel#", "verdict")
    for row in proof.rows():
        table.add_row(*row)
    console.print(table)
    for run in proof.runs:
        if run.first:
            console.print(run.first, highlight=False, markup=False)
    console.print(proof.verdict, highlight=False, markup=False)
    return proof.holds


# What the suffix of --to asks for: a function that writes the port, proves it, and says whether the proof holds.
TARGETS: dict[str, Callable[[Request], bool]] = {".onnx": to_onnx}


def port(
    net: Path = typer.Argument(help="A predict net, a predictor export, or a folder with an init/predict pair."),
    to: str = typer.Option(..., metavar="FILE", help="What to write; the suffix says into which framework (.onnx)."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option(
        [], metavar="NAME=N,3,224,224[:dtype]", help="The dims of an input; a name for one that varies, ? for any."
    ),
    feeds: list[Path] = typer.Option([], help="A .npz of inputs to prove the port with; they give shapes, too."),
    output: list[str] = typer.Option([], metavar="NAME", help="A blob to give out (default: the net's outputs)."),
    opset: int = typer.Option(None, help="The version of ONNX's operators."),
    allow_custom: bool = typer.Option(
        False, "--allow-custom", help="Keep operators that ONNX lacks, in a domain of their own."
    ),
    trace: bool = typer.Option(False, "--trace", help="Where outputs differ, find the first blob that does."),
    stepwise: bool = typer.Option(False, "--stepwise", help="Compare operator by operator (for nets of 8 bits)."),
    tolerance: float = typer.Option(None, help="The greatest relative difference of floats that is none."),
) -> None:
    """Port a net to another framework, and prove that the port computes the same; exit status 1 if it does not."""
    files = [Path(part) for part in to.split(",")]
    target = TARGETS.get(files[0].suffix)
    if target is None:
        raise ValueError(f"--to {to}: the suffix is {files[0].suffix!r}, wants {' or '.join(TARGETS)}")
    with console.status(f"loading {net}"):
        model = nets.open_model(net, init)
        workspace = model.prepare()
    request = Request(
        model,
        workspace,
        files,
        specs_of(shape),
        nets.read_feeds(feeds, []),
        output,
        opset,
        allow_custom,
        trace,
        stepwise,
        tolerance,
    )
    if not target(request):
        raise typer.Exit(1)


def specs_of(pairs: list[str]) -> dict[str, TensorSpec]:
    """NAME=N,3,224,224 pairs, :int32 behind for another dtype than float32; names for dims that vary, ? for any."""
    specs: dict[str, TensorSpec] = {}
    for pair in pairs:
        name, sign, rest = pair.rpartition("=")
        dims, _, dtype = rest.partition(":")
        try:
            specs[name] = TensorSpec(
                [_dim(d.strip()) for d in dims.split(",") if d.strip()], np.dtype(dtype or "float32")
            )
        except (TypeError, ValueError):
            sign = ""
        if not sign:
            raise ValueError(f"--shape {pair}: wants NAME=N,3,224,224, maybe with a dtype behind (:int32)")
    return specs


def _dim(text: str) -> Any:
    if text == "?":
        return None
    if text.isidentifier():
        return text
    return int(text)
