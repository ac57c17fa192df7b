"""caffe2ops show"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import typer

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.defs import NetDef


def show(
    net: Path = typer.Argument(help="A net, a predictor export, or a folder with an init/predict pair."),
    init: list[Path] = typer.Option([], help="A net that makes parameters; may be given several times."),
) -> None:
    """Print a net as a table of its operators."""
    model = nets.open_model(net, init)
    for definition in (*model.init, model.net):
        _print(definition)


def _print(net: NetDef) -> None:
    table = nets.table(f"net {net.name!r}: {len(net.op)} operators", "#", "type", "inputs", "outputs", "arguments")
    for index, op in enumerate(net.op):
        args = ", ".join(f"{name}={_brief(value)}" for name, value in op.args.items())
        kind = f"{op.type} ({op.engine})" if op.engine else op.type
        table.add_row(str(index), kind, ", ".join(op.input), ", ".join(op.output), args)
    console.print(table)
    counts = Counter(op.type for op in net.op).most_common()
    console.print(", ".join(f"{n} {kind}" for kind, n in counts), highlight=False, style="dim")
    for what, names in (("external inputs", net.external_input), ("external outputs", net.external_output)):
        if names:
            shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
            console.print(f"{what}: {shown}", highlight=False)


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{len(value)} numbers>"
    if isinstance(value, NetDef):
        return f"<net of {len(value.op)} operators>"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
