"""Makes the Python files of an unpacked Caffe2 (1.0 to 1.12, as in old torch wheels) importable as `caffe2` on current
Python, NumPy and protobuf, over the surface in caffe2ops.compat.extension.

The files stay as they are. What they want and current packages no longer have is put in place: aliases of NumPy,
inspect.getargspec, messages by current protobuf, bare packages where theirs import torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import types
import unittest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EXTENSION = "caffe2.python._import_c_extension"
PROTOS = ("caffe2_pb2", "metanet_pb2", "predictor_consts_pb2", "hsm_pb2", "prof_dag_pb2")


class ArgSpec(NamedTuple):
    """What inspect.getargspec gave."""

    args: Any
    varargs: Any
    keywords: Any
    defaults: Any


def install(folder: Path) -> None:
    """Serves `caffe2` from `folder` (which holds caffe2/python/core.py). Raises FileNotFoundError where it does not,
    ModuleNotFoundError where `future` or `six`, which the files import, is not installed, RuntimeError where another
    caffe2 has been imported."""
    home = folder / "caffe2"
    if not (home / "python" / "core.py").is_file():
        raise FileNotFoundError(f"{home / 'python' / 'core.py'} is not there: wants the folder of an unpacked Caffe2")
    for package, needs in (("past", "future"), ("six", "six")):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"Caffe2's files import {package}: pip install {needs}", name=package)
    loaded = sys.modules.get("caffe2")
    if loaded is not None:
        if list(loaded.__path__) == [str(home)]:
            return
        raise RuntimeError("another caffe2 has been imported in this process; call install() before any import of it")
    _restore_numpy()
    _restore_standard_library()
    _put_packages(home)
    from caffe2ops.compat import extension

    sys.modules[EXTENSION] = extension
    _write_integers()


def _restore_numpy() -> None:
    """Names that NumPy 1.20 to 2.0 took away."""
    gone: dict[str, Any] = {
        "float": float,
        "int": int,
        "object": object,
        "str": str,
        "complex": complex,
        "float_": np.float64,
        "unicode_": np.str_,
        "string_": np.bytes_,
        "asscalar": lambda a: np.asarray(a).item(),
    }
    for name, value in gone.items():
        if name not in vars(np):
            setattr(np, name, value)


def _restore_standard_library() -> None:
    """inspect.getargspec (gone in 3.11) and the old names of assertions (gone in 3.12)."""
    if not hasattr(inspect, "getargspec"):
        setattr(inspect, "getargspec", lambda f: ArgSpec(*inspect.getfullargspec(f)[:4]))  # noqa: B010
    case: Any = unittest.TestCase
    for old, new in {
        "assertEquals": "assertEqual",
        "assertNotEquals": "assertNotEqual",
        "assertItemsEqual": "assertCountEqual",
        "assertRaisesRegexp": "assertRaisesRegex",
    }.items():
        if not hasattr(case, old):
            setattr(case, old, getattr(case, new))


def _put_packages(home: Path) -> None:
    """Bare packages for `caffe2` (whose own imports torch) and `caffe2.proto` (whose files are of an old protoc)."""
    caffe2, proto = types.ModuleType("caffe2"), types.ModuleType("caffe2.proto")
    caffe2.__path__, proto.__path__ = [str(home)], []
    caffe2.__file__, proto.__file__ = str(home / "__init__.py"), str(home / "proto" / "__init__.py")
    messages = importlib.import_module("caffe2ops.compat.python.caffe2_pb2")
    sys.modules |= {"caffe2": caffe2, "caffe2.proto": proto}
    caffe2.proto = proto  # type: ignore[attr-defined]
    for name in PROTOS:
        sys.modules[f"caffe2.proto.{name}"] = messages
        setattr(proto, name, messages)


def _write_integers() -> None:
    """Arguments of bool are written as integers: protobuf 7 refuses a bool in an integer field."""
    utils: Any = importlib.import_module("caffe2.python.utils")
    make = utils.MakeArgument

    def plain(value: Any) -> Any:
        if isinstance(value, (bool, np.bool_)):
            return int(value)
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    utils.MakeArgument = lambda key, value: make(key, plain(value))
