"""The command line: `caffe2ops` and `python -m caffe2ops`."""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Any

from caffe2ops.cli.app import app, state


def main() -> None:
    """Runs the command line; an error is one readable block and exit status 1, with a traceback only on --traceback."""
    from rich.console import Console
    from rich.markup import escape

    from caffe2ops.errors import BlobError

    console = Console(stderr=True, soft_wrap=True)
    told: set[str] = set()

    def warn(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in told:  # the same may come from a check and from a run
            told.add(str(message))
            console.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False)

    warnings.showwarning = warn
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names that the terminal's encoding lacks end no command
            stream.reconfigure(errors="replace")
    try:
        app()
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, MemoryError, BlobError) as error:
        if state.traceback:
            raise
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error) or type(error).__name__, markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
