"""caffe2ops's own modules for what scripts use of `caffe2.python`, written to its documented behaviour."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

# The modules that are served, and those of this package that serve them.
MODULES = {
    "caffe2.proto.caffe2_pb2": "caffe2_pb2",
    "caffe2.proto.metanet_pb2": "caffe2_pb2",
    "caffe2.proto.predictor_consts_pb2": "caffe2_pb2",
    "caffe2.python.brew": "brew",
    "caffe2.python.cnn": "cnn",
    "caffe2.python.core": "core",
    "caffe2.python.dyndep": "dyndep",
    "caffe2.python.model_helper": "model_helper",
    "caffe2.python.modeling.initializers": "parameters",
    "caffe2.python.modeling.parameter_info": "parameters",
    "caffe2.python.net_drawer": "net_drawer",
    "caffe2.python.optimizer": "optimizer",
    "caffe2.python.predictor.mobile_exporter": "mobile_exporter",
    "caffe2.python.predictor.predictor_exporter": "predictor_exporter",
    "caffe2.python.predictor.predictor_py_utils": "predictor_exporter",
    "caffe2.python.predictor_constants": "predictor_constants",
    "caffe2.python.scope": "scope",
    "caffe2.python.utils": "messages",
    "caffe2.python.workspace": "workspace",
}


class _Absent(MetaPathFinder):
    """Says, for a module of caffe2 that is not served, what there is instead."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> None:
        if name.startswith("caffe2.") and getattr(sys.modules.get("caffe2"), "__file__", "") == __file__:
            raise ModuleNotFoundError(
                f"{name} is not among the modules that caffe2ops serves by itself; "
                "install(folder) takes them from an unpacked Caffe2",
                name=name,
            )


def install() -> None:
    """Makes `caffe2` importable with these modules. Raises RuntimeError where another caffe2 has been imported."""
    loaded = sys.modules.get("caffe2")
    if loaded is not None:
        if loaded.__file__ == __file__:
            return
        raise RuntimeError("another caffe2 has been imported in this process; call install() before any import of it")
    for name, own in MODULES.items():
        module = importlib.import_module(f"{__name__}.{own}")
        parent, _, last = name.rpartition(".")
        setattr(_package(parent), last, module)
        sys.modules[name] = module
    sys.meta_path.insert(0, _Absent())


def _package(name: str) -> ModuleType:
    """The empty package of that name, made with those around it where it isn't there."""
    if name not in sys.modules:
        package = sys.modules[name] = ModuleType(name)
        package.__file__, package.__path__ = __file__, []
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(_package(parent), last, package)
    return sys.modules[name]
