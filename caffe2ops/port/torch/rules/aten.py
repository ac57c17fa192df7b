"""Operators that call PyTorch's tensor library, as they stand."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.aten.functions import FUNCTIONS
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import listed, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer

# Tensors behind attributes, by the names that the function has for them.
TENSORS = {
    "gather": ("self", "index"), "scatter": ("self", "index", "src"), "scatter_add": ("self", "index", "src"),
    "index_select": ("self", "index"), "layer_norm": ("input", "weight", "bias"),
    "group_norm": ("input", "weight", "bias"), "embedding_bag": ("weight", "indices", "offsets", "per_sample_weights"),
}  # fmt: skip
RENAMED = {"_s_where": "where"}  # since PyTorch 1.10


@rule("ATen")
def aten(t: Writer, op: Any, *tensors: Tensor) -> Any:
    """The attributes of the function have the names that its arguments have."""
    name = RENAMED.get(op.operator, op.operator)
    meant = next(one for one in FUNCTIONS[op.operator] if one.takes(op.n_inputs, set(op._attributes)))
    given = [f"{x}.bool()" if name.startswith("index") and x.dtype == np.uint8 else str(x) for x in tensors]
    if name == "index":
        return f"{given[0]}[{', '.join(given[1:])}]"
    if name == "index_put":
        given[1:-1] = [listed(given[1:-1])]
    elif meant.line.split()[1] == "*":
        given = [f"[{', '.join(given)}]"]
    elif op._attributes and name in TENSORS:
        given[1:] = [f"{argument}={text}" for argument, text in zip(TENSORS[name][1:], given[1:])]
    given += [f"{attribute}={literal(value)}" for attribute, value in op._attributes.items()]
    call = f"torch.ops.aten.{name}({', '.join(given)})"
    if name == "size":
        return f"torch.tensor({call}, device={tensors[0]}.device)"
    if op.n_outputs <= 1:
        return call
    found = t.let("results", call)
    return [f"{found}[{i}]" for i in range(op.n_outputs)]
