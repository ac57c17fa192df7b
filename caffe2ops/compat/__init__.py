"""A home for old Caffe2 scripts: `install()` makes `from caffe2.python import core, workspace` work over caffe2ops."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

__all__ = ["install"]

# Arguments that brew and the tutorials give to operators that have no use for them; nothing is said of it.
SPARE = "order|use_cudnn|cudnn_exhaustive_search|exhaustive_search|ws_nbytes_limit|run_once"


def install(folder: str | Path | None = None) -> None:
    """Makes `caffe2.python` and `caffe2.proto` importable.

    With `folder`, from the Python files of an unpacked Caffe2 (an old torch wheel) in it; without, from modules
    of caffe2ops. To be called before anything imports caffe2.
    """
    if folder is not None:
        from caffe2ops.compat import upstream

        upstream.install(Path(folder))
    else:
        from caffe2ops.compat import python

        python.install()
    importlib.import_module("caffe2ops.compat.extension.python_operators")
    warnings.filterwarnings("ignore", rf"\w+ has no argument '({SPARE})'", UserWarning)
