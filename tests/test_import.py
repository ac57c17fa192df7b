"""What importing the package does and does not do."""

from __future__ import annotations

import subprocess
import sys

import caffe2ops

EXTRAS = ("cupy", "numba", "torch", "onnx", "onnxruntime", "lmdb", "sklearn")


def modules_after(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; {code}; print(' '.join(sys.modules))"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def test_import_takes_little_along() -> None:
    loaded = modules_after("import caffe2ops")
    assert loaded.isdisjoint(
        (*EXTRAS, "numpy", "pydantic", "google.protobuf", "scipy", "typer", "rich", "caffe2ops.ops")
    )


def test_the_catalogue_takes_no_extra_along() -> None:
    loaded = modules_after("import caffe2ops; caffe2ops.registry.types()")
    assert loaded.isdisjoint((*EXTRAS, "google.protobuf", "scipy", "typer", "rich"))


def test_public_names() -> None:
    assert set(caffe2ops.__all__) == set(dir(caffe2ops))
    for name in caffe2ops.__all__:
        value = getattr(caffe2ops, name)
        assert value is getattr(caffe2ops, name)
        if callable(value):
            assert value.__doc__, f"{name} has no docstring"
    promised = [
        "Arg",
        "NetDef",
        "Net",
        "Operator",
        "OperatorDef",
        "Predictor",
        "Workspace",
        "gradient",
        "infer_shapes",
        "load",
    ]
    assert set(promised) <= set(caffe2ops.__all__)
