"""caffe2ops port"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.cli.proof import show_proof, show_written
from caffe2ops.dataflow import read_by
from caffe2ops.defs import DeviceOption
from caffe2ops.errors import did_you_mean
from caffe2ops.workspace import Workspace

SHAPE = "NAME=N,3,224,224[:dtype]"


@dataclass
class Request:
    """What the command line asks for: a model, its parameters in a workspace, and the options."""

    model: nets.Model
    workspace: Workspace
    to: Path
    shapes: dict[str, Any]
    feeds: dict[str, Any]
    outputs: list[str]
    opset: int | None
    allow_custom: bool
    trace: bool
    stepwise: bool
    tolerance: float | None
    exact_int8: bool


def to_onnx(request: Request) -> bool:
    """Writes an ONNX model and proves it; whether the proof holds."""
    from caffe2ops import port
    from caffe2ops.port.onnx.export import OPSET

    path, net = request.to, request.model.net
    with console.status(f"porting {escape(net.name)}"):
        model = port.to_onnx(
            net, request.workspace, {**request.feeds, **request.shapes},
            outputs=request.outputs or request.model.outputs,
            opset=OPSET if request.opset is None else request.opset, allow_custom=request.allow_custom,
            exact_int8=request.exact_int8,
        )  # fmt: skip
        files = model.save(path)
    show_written(files, model.notes, f"{len(model.graph.nodes)} nodes, opset {model.opset}")
    with console.status("running it in onnxruntime"):
        tolerance = {} if request.tolerance is None else {"tolerance": request.tolerance}
        feeds = [request.feeds] if request.feeds else []
        options: dict[str, Any] = {"trace": request.trace, "stepwise": request.stepwise, **tolerance}
        proof = port.prove(model, *feeds, path=str(path), **options)
    return show_proof("model against caffe2ops", proof)


def to_torch(request: Request) -> bool:
    """Writes the source of a PyTorch module and proves it, gradients too; whether the proof holds."""
    from caffe2ops import port

    asked = {"opset": request.opset, "allow-custom": request.allow_custom, "exact-int8": request.exact_int8}
    refuse_options(asked, "ONNX models")
    path, net = request.to, request.model.net
    with console.status(f"porting {escape(net.name)}"):
        shapes = {**request.feeds, **request.shapes}
        model = port.to_torch(net, request.workspace, shapes, outputs=request.outputs or request.model.outputs)
        files = model.save(path)
    show_written(files, model.notes)
    with console.status("running it in PyTorch"):
        tolerance = {} if request.tolerance is None else {"tolerance": request.tolerance}
        feeds = [request.feeds] if request.feeds else []
        options: dict[str, Any] = {"trace": request.trace, "stepwise": request.stepwise, **tolerance}
        proof = port.prove_torch(model, *feeds, path=path, **options)
    return show_proof("module against caffe2ops", proof)


# What the suffix of --to asks for: a function that writes the port, proves it, and says whether the proof holds.
TARGETS: dict[str, Callable[[Request], bool]] = {".onnx": to_onnx, ".py": to_torch}


def port(
    net: Path = typer.Argument(
        help="A predict net, a predictor export, a folder with an init/predict pair, or an ONNX model (.onnx)."
    ),
    to: str = typer.Option(
        ..., metavar="FILE", help="What to write; the suffix says into which framework (.onnx, .py)."
    ),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    shape: list[str] = typer.Option(
        [], metavar=SHAPE, help="The dims of an input; a name for one that varies, ? for any."
    ),
    feeds: list[Path] = typer.Option([], help="A .npz of inputs to prove the port with; they give shapes, too."),
    constant: list[str] = typer.Option(
        [], metavar="NAME=VALUE", help="The value of an ONNX model's input that Caffe2 has as an argument."
    ),
    output: list[str] = typer.Option([], metavar="NAME", help="A blob to give out (default: the net's outputs)."),
    opset: int = typer.Option(None, help="The version of ONNX's operators."),
    allow_custom: bool = typer.Option(
        False, "--allow-custom", help="Keep operators that ONNX lacks, in a domain of their own."
    ),
    exact_int8: bool = typer.Option(
        False, "--exact-int8", help="Port operators of 8 bits to ONNX as whole numbers, bit by bit as Caffe2."
    ),
    int8: bool = typer.Option(False, "--int8", help="Import a quantised ONNX model as Int8 operators."),
    trace: bool = typer.Option(False, "--trace", help="Where outputs differ, find the first blob that does."),
    stepwise: bool = typer.Option(False, "--stepwise", help="Compare operator by operator (for nets of 8 bits)."),
    tolerance: float = typer.Option(None, help="The greatest relative difference of floats that is none."),
) -> None:
    """Port a net to another framework, and prove that the port computes the same; exit status 1 if it does not."""
    if net.suffix == ".onnx":
        from caffe2ops.cli.port_from_onnx import from_onnx

        asked = {"init": init, "opset": opset, "allow-custom": allow_custom, "exact-int8": exact_int8}
        refuse_options({**asked, "trace": trace, "stepwise": stepwise}, "nets, not for ONNX models")
        files = [Path(part) for part in to.split(",")]
        given, values = nets.read_feeds(feeds, []), nets.read_feeds([], constant)
        shapes = nets.specs_of(shape, SHAPE)
        if not from_onnx(net, files, shapes, given, outputs=output, constants=values, tolerance=tolerance, int8=int8):
            raise typer.Exit(1)
        return
    refuse_options({"int8": int8, "constant": constant}, "ONNX models that become nets")
    target = TARGETS.get(Path(to).suffix)
    if target is None or any(f"{suffix}," in to for suffix in TARGETS):
        raise ValueError(f"--to {to}: wants {' or '.join(TARGETS)} at the end of one file's name")
    with console.status(f"loading {net}"):
        model = nets.open_model(net, init)
        workspace = model.prepare(DeviceOption())
    shapes, known = nets.specs_of(shape, SHAPE), {*read_by(model.net), *model.net.external_input}
    for name in shapes:
        if name not in known:
            raise ValueError(f"--shape {name}: the net reads no blob of that name{did_you_mean(name, known)}")
    request = Request(
        model,
        workspace,
        Path(to),
        shapes,
        nets.read_feeds(feeds, []),
        output,
        opset,
        allow_custom,
        trace,
        stepwise,
        tolerance,
        exact_int8,
    )
    if not target(request):
        raise typer.Exit(1)


def refuse_options(asked: dict[str, Any], of: str) -> None:
    """Raises ValueError where one of the options is given, which are those of other ports."""
    if any(asked.values()):
        raise ValueError(f"{', '.join(f'--{name}' for name in asked)} are for {of}")
