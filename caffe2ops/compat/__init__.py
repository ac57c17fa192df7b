"""A home for old Caffe2 scripts: `install()` makes `from caffe2.python import core, workspace` work over caffe2ops."""

from __future__ import annotations

from pathlib import Path

__all__ = ["install"]


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
