"""ONNX models as Caffe2 nets: a core that walks models, and rules for operators, family by family.

imported = from_onnx("model.onnx")
imported.save("init_net.pb", "predict_net.pb")
print(prove(imported))
"""

from __future__ import annotations

from caffe2ops.port.from_onnx.imported import Imported
from caffe2ops.port.from_onnx.importer import from_onnx
from caffe2ops.port.from_onnx.node import NodeError
from caffe2ops.port.from_onnx.proof import prove

__all__ = ["Imported", "NodeError", "from_onnx", "prove"]
