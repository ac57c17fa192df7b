"""Ports of Caffe2 nets to other frameworks, each with a proof that the numbers agree.

    model = to_onnx(predict_net, init_net, {"data": ("N", 3, 224, 224)})
    model.save("model.onnx")
    print(prove(model))

The other framework is imported when a port is asked for; `pip install caffe2ops[port]` brings what they need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe2ops.port.onnx.export import to_onnx as to_onnx
    from caffe2ops.port.onnx.model import OnnxModel as OnnxModel
    from caffe2ops.port.proof import Proof as Proof
    from caffe2ops.port.proof import prove as prove

_MODULES = {"to_onnx": "onnx.export", "OnnxModel": "onnx.model", "Proof": "proof", "prove": "proof"}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
