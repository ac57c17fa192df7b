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
    from caffe2ops.port.onnx.proof import prove as prove
    from caffe2ops.port.proof import Proof as Proof
    from caffe2ops.port.torch.export import to_torch as to_torch
    from caffe2ops.port.torch.model import TorchModel as TorchModel
    from caffe2ops.port.torch.proof import prove_torch as prove_torch

_MODULES = {
    "to_onnx": "onnx.export", "OnnxModel": "onnx.model", "Proof": "proof", "prove": "onnx.proof",
    "to_torch": "torch.export", "TorchModel": "torch.model", "prove_torch": "torch.proof",
}  # fmt: skip

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
