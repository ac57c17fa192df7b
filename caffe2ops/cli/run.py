"""caffe2ops run"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.markup import escape

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.net import Timing
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace, describe


def run(
    net: Path = typer.Argument(help="A predict net, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
    feeds: list[Path] = typer.Option([], help="A .npz whose arrays are fed by their names."),
    feed: list[str] = typer.Option([], metavar="NAME=FILE.npy|VALUE", help="One blob to feed."),
    fetch: list[str] = typer.Option([], metavar="NAME", help="A blob to give out (default: the net's outputs)."),
    runs: int = typer.Option(1, min=1, help="How often to run the net."),
    output: Path = typer.Option(None, metavar="OUT.npz", help="Write the outputs here instead of printing them."),
    device: str = typer.Option("", metavar="cpu|cuda:N", help="Run everything there, whatever the net says."),
    profile: bool = typer.Option(False, help="Print the time that each operator takes."),
    root: Path = typer.Option(None, help="The folder in which operators may read and write files (default: none)."),
) -> None:
    """Run a net and print its outputs, or write them to a file."""
    option = nets.device_option(device)
    with console.status(f"loading {net}"):
        model = nets.open_model(net, init)
        workspace = model.prepare(option, root)
    given = nets.read_feeds(feeds, feed)
    missing = [name for name in model.expected(workspace) if name not in given]
    if missing:
        _say_expected(model, missing)
        raise typer.Exit(2)
    for name, value in given.items():
        workspace.feed(name, value, option)
    with console.status(f"running {escape(model.net.name or net.name)}"):
        bound = workspace.create(model.net, overwrite=True, device=option)
        timing = Timing()
        if profile:
            bound.run()
            bound.observers.append(timing)
        started = time.perf_counter()
        for _ in range(runs):
            bound.run()
        seconds = (time.perf_counter() - started) / runs
    names = fetch or model.fetched()
    if output:
        with console.status(f"writing {output}"):
            np.savez_compressed(output, allow_pickle=False, **_arrays(workspace, names))
        console.print(escape(f"{', '.join(names)} written to {output}"), highlight=False)
    else:
        _print_outputs(workspace, names)
    console.print(f"{1e3 * seconds:.3g} ms a run, {runs} run{'s' * (runs > 1)}", highlight=False)
    if profile:
        _print_profile(timing)


def _say_expected(model: nets.Model, missing: list[str]) -> None:
    table = nets.table("The net expects these blobs to be fed", "blob", "read by")
    for name in missing:
        readers = [op.type for op in model.net.op if name in op.input]
        more = f" and {len(readers) - 1} more" if len(readers) > 1 else ""
        table.add_row(escape(name), escape(f"{readers[0]}{more}"))
    console.print(table)
    console.print(f"Give them with --feeds FILE.npz, or --feed {escape(missing[0])}=FILE.npy", highlight=False)


def _arrays(workspace: Workspace, names: list[str]) -> dict[str, np.ndarray]:
    arrays: dict[str, Any] = {}
    for name in names:
        value = workspace.fetch(name)
        if isinstance(value, QTensor):
            arrays |= {
                name: value.data,
                f"{name}__scale": np.float32(value.scale),
                f"{name}__zero_point": np.int32(value.zero_point),
            }
        elif isinstance(value, np.ndarray) and value.dtype == object:
            arrays[name] = value.astype(bytes)
        elif isinstance(value, (np.ndarray, bytes)):
            arrays[name] = np.asarray(value)
        else:
            raise ValueError(
                f"blob {name!r} holds {describe(value)}, which cannot be written; leave it out with --fetch"
            )
    return arrays


def _print_outputs(workspace: Workspace, names: list[str]) -> None:
    table = nets.table("Outputs", "blob", "holds", "min#", "mean#", "max#", "first values")
    for name in names:
        value = workspace.fetch(name)
        real = value.dequantize() if isinstance(value, QTensor) else value
        cells = ["", "", "", ""]
        if isinstance(real, np.ndarray) and real.size and real.dtype != object:
            wide = real.astype(np.float64)
            cells = [f"{v:.6g}" for v in (wide.min(), wide.mean(), wide.max())]
            cells.append(" ".join(f"{v:.6g}" for v in wide.ravel()[:5]) + (" ..." if real.size > 5 else ""))
        elif isinstance(real, np.ndarray):
            cells[3] = " ".join(repr(v) for v in real.ravel()[:3].tolist())
        table.add_row(*map(escape, (name, describe(value), *cells)))
    console.print(table)


def _print_profile(timing: Timing) -> None:
    table = nets.table("Time of each operator", "#", "type", "first output", "mean ms#", "min ms#", "share#")
    for index, kind, blob, mean, least, share in timing.rows():
        table.add_row(str(index), escape(kind), escape(blob), f"{mean:.4g}", f"{least:.4g}", f"{share:.1%}")
    console.print(table)
    by_type: dict[str, float] = {}
    for _, kind, _, mean, _, _ in timing.rows():
        by_type[kind] = by_type.get(kind, 0.0) + mean
    total = sum(by_type.values()) or 1.0
    table = nets.table("By type", "type", "ms a run#", "share#")
    for kind, mean in sorted(by_type.items(), key=lambda item: -item[1]):
        table.add_row(escape(kind), f"{mean:.4g}", f"{mean / total:.1%}")
    console.print(table)
