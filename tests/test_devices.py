"""Operators and blobs on both devices; CUDA is emulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops import DeviceOption, NetDef, OperatorDef, OperatorError, Workspace
from caffe2ops.gradient import backward as backward_pass
from caffe2ops.registry import create

CUDA = DeviceOption(device_type=1)
X = np.array([[-1.0, 2.0, 3.0]], np.float32)


def op(type: str, source: str, target: str) -> OperatorDef:
    return OperatorDef(type=type, input=source, output=target, device_option=CUDA)


def test_there_and_back(emulated_cuda: Any) -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    ops = (op("CopyCPUToGPU", "x", "a"), op("Relu", "a", "b"), op("CopyGPUToCPU", "b", "c"))
    net = workspace.create(NetDef(name="n", op=(*ops, OperatorDef(type="Exp", input="c", output="y"))))
    for x in (X, X + 1, X[:, :2]):
        workspace.feed("x", x)
        net.run()
        np.testing.assert_allclose(workspace.fetch("y"), np.exp(np.maximum(x, 0)), rtol=1e-6)
    assert isinstance(workspace.blob("b").value, emulated_cuda.ndarray)
    assert type(workspace.blob("c").value) is np.ndarray
    assert type(workspace.fetch("b")) is np.ndarray


def test_gradients_cross_back(emulated_cuda: Any) -> None:
    made, gradients = backward_pass([op("CopyCPUToGPU", "x", "a"), op("Relu", "a", "y")], {"y": "dy"})
    assert [o.type for o in made] == ["ReluGradient", "CopyGPUToCPU"]
    assert gradients["x"] == "x_grad"


def test_a_blob_on_the_wrong_device_is_refused(emulated_cuda: Any) -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    with pytest.raises(OperatorError, match=r"X: is not on the device cuda.* copy it with CopyCPUToGPU"):
        workspace.run(op("Relu", "x", "y"))


def test_feeding_to_a_device(emulated_cuda: Any) -> None:
    workspace = Workspace()
    workspace.feed("x", X, CUDA)
    workspace.run(op("Relu", "x", "y"))
    np.testing.assert_array_equal(workspace.fetch("y"), np.maximum(X, 0))
    workspace.run(op("EnsureCPUOutput", "x", "z"))
    np.testing.assert_array_equal(workspace.fetch("z"), X)


@pytest.mark.parametrize(
    ("definition", "inputs", "outputs"),
    [
        (op("Relu", "x", "y"), ["cuda"], ["cuda"]),
        (OperatorDef(type="Relu", input="x", output="y"), ["cpu"], ["cpu"]),
        (op("CopyCPUToGPU", "x", "y"), ["cpu"], ["cuda"]),
        (op("CopyGPUToCPU", "x", "y"), ["cuda"], ["cpu"]),
        (op("EnsureCPUOutput", "x", "y"), ["any"], ["cpu"]),
    ],
)
def test_device_inference(definition: OperatorDef, inputs: list[str], outputs: list[str]) -> None:
    assert create(definition).infer_devices() == (inputs, outputs)
