"""Optionals of tensors: one that is there is the tensor itself."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.values import Value


@rule("Optional", "OptionalGetElement")
def element(g: Builder, node: Node, x: Value | None = None) -> Value | None:
    return x


@rule("OptionalHasElement")
def has_element(g: Builder, node: Node, x: Value | None = None) -> Value:
    return g.constant(np.array(x is not None))
