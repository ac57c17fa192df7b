"""caffe2.python.dyndep: libraries of compiled operators, which caffe2ops can't load."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

import warnings

_asked_for: set[str] = set()


def InitOpsLibrary(name: str, trigger_lazy: bool = True) -> None:
    """Loads nothing and says so: a compiled library registers its operators with the original engine only.

    The scripts that call it go on; an operator of the library that caffe2ops lacks is missed where it is used.
    """
    _asked_for.add(name)
    warnings.warn(
        f"{name}: compiled operators are not loaded; write those of it that are wanted as caffe2ops.Operator classes",
        stacklevel=2,
    )


def GetImportedOpsLibraries() -> set[str]:
    """The libraries that were asked for."""
    return _asked_for
