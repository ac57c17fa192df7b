"""caffe2ops convert"""

from __future__ import annotations

from pathlib import Path

import typer

from caffe2ops import formats
from caffe2ops.cli.nets import console

SUFFIXES = {".pb": "binary", ".pbtxt": "text", ".prototxt": "text", ".txt": "text", ".json": "json"}


def convert(
    source: Path = typer.Argument(
        metavar="IN", help="A net or plan in any format; which one is told from its content."
    ),
    target: Path = typer.Argument(metavar="OUT", help="Where to write it: .pb, .pbtxt or .json."),
    to: str = typer.Option("", metavar="binary|text|json", help="The format to write (default: by the name of OUT)."),
) -> None:
    """Convert a net between binary .pb, .pbtxt and JSON."""
    wanted = to or SUFFIXES.get(target.suffix)
    if wanted not in SUFFIXES.values():
        raise ValueError(f"{target}: which format is meant? Name it .pb, .pbtxt or .json, or give --to")
    with console.status(f"reading {source}"):
        loaded = formats.load(source)
    with console.status(f"writing {target}"):
        formats.dump(loaded, target, format=wanted)
    console.print(f"{source} -> {target} ({type(loaded).__name__}, {wanted})", highlight=False)
