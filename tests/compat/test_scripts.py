"""Three tutorials' worth of scripts give what the original engine gives: with our own modules, and with upstream's."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops.compat.python import caffe2_pb2
from tests.compat.runs import SCRIPTS, golden, run

UPSTREAM = os.environ.get("CAFFE2OPS_UPSTREAM", "")
WANTED = ("future", "past", "pydot", "six")  # packages that upstream's files import
FACE = [sys.executable, "-m", "caffe2ops.compat"]
# The original gives ConstantFill its 0 as `values` there, which no engine reads.
DIFFERENT = {"regression": {"rmsprop init proto"}}
MESSAGES = {"plan": "PlanDef", "relu": "OperatorDef", "fill": "OperatorDef", "concat": "OperatorDef"}
MESSAGES |= {"arguments": "OperatorDef", "tensor0": "TensorProto", "tensor1": "TensorProto", "tensor2": "TensorProto"}


def message(name: str, serialized: Any) -> Any:
    """A definition to compare, without the order of its arguments."""
    found = getattr(caffe2_pb2, MESSAGES.get(name, "NetDef")).FromString(serialized.tobytes())
    nets = getattr(found, "network", [found])
    for op in [op for net in nets for op in getattr(net, "op", [])]:
        args = sorted(op.arg, key=lambda arg: arg.name)
        del op.arg[:]
        op.arg.extend(args)
    return found


def check(script: str, results: dict[str, Any], same_definitions: bool) -> None:
    wanted = golden(script)
    assert list(results) == list(wanted)
    for name, value in wanted.items():
        found = results[name]
        if value.dtype == np.uint8:
            if same_definitions and name not in DIFFERENT.get(script, ()):
                assert message(name, found) == message(name, value), name
        elif value.dtype.kind in "US":
            np.testing.assert_array_equal(found, value, err_msg=name)
        else:
            assert found.dtype == value.dtype
            np.testing.assert_allclose(found, value, rtol=2e-3, atol=5e-3, err_msg=name)


@pytest.mark.parametrize("script", SCRIPTS)
def test_own_modules(script: str, tmp_path: Path) -> None:
    results, printed = run(FACE, script, tmp_path)
    check(script, results, same_definitions=True)
    assert "Warning" not in printed


@pytest.mark.parametrize("script", SCRIPTS)
def test_upstream_files(script: str, tmp_path: Path) -> None:
    if not UPSTREAM:
        pytest.skip("CAFFE2OPS_UPSTREAM names no folder with the Python files of Caffe2")
    missing = [name for name in WANTED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"upstream's files want {', '.join(missing)}")
    results, _ = run([*FACE, "--upstream", UPSTREAM], script, tmp_path)
    check(script, results, same_definitions=False)
