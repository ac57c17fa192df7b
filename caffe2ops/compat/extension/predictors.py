"""The predictor of exported nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caffe2ops import Predictor as EnginePredictor
from caffe2ops.compat.extension.definitions import net_of
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.compat.extension.workspaces import OpenWorkspace


class Predictor:
    """Runs the init net once, the predict net as often as asked."""

    @runtime_errors
    def __init__(self, init_net: bytes, predict_net: bytes):
        self._predictor = EnginePredictor(net_of(init_net), net_of(predict_net), workspace=OpenWorkspace())

    @runtime_errors
    def run(self, inputs: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
        """The outputs in order, for inputs by name or in the order of the net's external inputs."""
        return list(self._predictor.run(inputs).values())
