"""Where operators find their files: inside the workspace's root folder, nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.operator import Operator
from caffe2ops.registry import array_module


def inside_root(op: Operator, name: str, absolute: bool = False) -> Path:
    """The path of a file that an operator names. Unless `absolute`, a leading slash stands for the root folder.

    Raises PermissionError where the workspace has no root folder or the name leads out of it.
    """
    return op.workspace.path(name if absolute else name.lstrip("/"))


def on_host(value: Any) -> Any:
    """A value with arrays on the CPU."""
    return value.get() if hasattr(value, "__cuda_array_interface__") else value


def on_device(op: Operator, value: Any) -> Any:
    """A value read from a file: arrays as the operator's device wants them, free to be written to."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype != object and op.device != "cpu":
        return array_module(op.device).asarray(value)
    return value if value.flags.writeable and value.flags.owndata else value.copy()
