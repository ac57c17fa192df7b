"""An operator of another package: registered through the entry point group caffe2ops.operators."""

from typing import Any

from caffe2ops import Operator


class PluginTwice(Operator):
    """Y = 2 X."""

    contract = "X: float -> Y: X"
    gradient = "PluginTwice(dY) -> dX"

    def run_cpu(self, x: Any) -> Any:
        return x + x
