"""caffe2ops convert"""

from __future__ import annotations

from pathlib import Path

import typer

from caffe2ops import formats
from caffe2ops.cli.nets import console


def convert(
    source: Path = typer.Argument(
        metavar="IN", help="A net or plan in any format; which one is told from its content."
    ),
    target: Path = typer.Argument(
        metavar="OUT", help="Where to write it: .pbtxt and .json say the format, other names are binary."
    ),
    to: str = typer.Option("", metavar="binary|text|json", help="The format to write, whatever the name of OUT says."),
) -> None:
    """Convert a net between binary .pb, .pbtxt and JSON."""
    with console.status(f"reading {source}"):
        loaded = formats.load(source)
    with console.status(f"writing {target}"):
        formats.dump(loaded, target, to or None)
    console.print(f"{source} -> {target} ({type(loaded).__name__})", highlight=False)
