"""Running the source of a port, and feeding the net that it is compared with."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from caffe2ops.ops.quantized.half_weights import PackedWeights
from caffe2ops.port.packages import need
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace

_count = itertools.count()


def imported(path: Path) -> ModuleType:
    """The module in a file."""
    need("torch")
    spec = importlib.util.spec_from_file_location(f"caffe2ops_ported_{next(_count)}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    try:
        spec.loader.exec_module(made)
    finally:
        del sys.modules[spec.name]
    return made


def plain(value: Any) -> Any:
    """The array of what a blob holds: bytes of a quantised tensor, packed weights as a matrix."""
    if isinstance(value, QTensor):
        return value.data
    return value.matrix if isinstance(value, PackedWeights) else value


def tensor(value: Any) -> Any:
    return need("torch").from_numpy(np.array(plain(value)))


def fed(model: TorchModel, feeds: Mapping[str, Any], wide: bool = False) -> Workspace:
    """A workspace with parameters and inputs; `wide`: floats in float64."""
    workspace = Workspace()
    for name, value in {**model.parameters, **feeds}.items():
        if wide and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(np.float64)
        workspace.feed(name, value)
    return workspace
