"""The command line: `caffe2ops` and `python -m caffe2ops`."""

from __future__ import annotations

import sys
import warnings

from caffe2ops.cli.app import app, state


def main() -> None:
    """Runs the command line; an error is one readable block and exit status 1, with a traceback only on --traceback."""
    from rich.console import Console

    from caffe2ops.errors import BlobError, GradientError, OperatorError

    console = Console(stderr=True, soft_wrap=True)
    warnings.showwarning = lambda message, *_: console.print(f"[yellow]warning:[/] {message}", highlight=False)
    try:
        app()
    except (OSError, ValueError, TypeError, ImportError, BlobError, GradientError, OperatorError) as error:
        if state.traceback:
            raise
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error) or type(error).__name__, markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
