"""Replays the cases that Caffe2 recorded of its own operators: inputs, outputs, and gradient operators. No upstream
code runs here.

A case is a zip of op.pb, grad_<i>.pb (the gradient operators for `<output>_grad`) and inout.npz (`inputs`, `outputs`).
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import OperatorDef, Workspace
from caffe2ops.errors import UnknownOperator
from caffe2ops.formats.binary import decode
from caffe2ops.gradient import gradient_of

CASES = "caffe2/python/serialized_test/data/operator_test"
TOLERANCE = 1e-3  # what upstream compares with is within it in all cases


def replay(folder: Path) -> dict[str, dict[str, str]]:
    """The outcome of every case under the unpacked upstream files, by `golden::name`."""
    found = {}
    for path in sorted((folder / CASES).glob("*.zip")):
        outcome = {"outcome": "passed", "operator": "", "message": ""}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(path)
        except Exception as error:
            missing = re.search(r"no operator of type '(\w+)'", str(error))
            unknown = isinstance(error, UnknownOperator) or missing
            outcome |= {
                "outcome": "failed",
                "operator": missing[1] if unknown and missing else "",
                "message": " ".join(f"{type(error).__name__}: {error}".split())[:300],
            }
        found[f"golden::{path.stem}"] = outcome
    return found


def check(path: Path) -> None:
    """Raises where outputs or gradient operators are not those recorded."""
    with zipfile.ZipFile(path) as case:
        op: OperatorDef = decode(case.read("op.pb"), OperatorDef)
        count = sum(name.startswith("grad_") for name in case.namelist())
        gradients = [decode(case.read(f"grad_{i}.pb"), OperatorDef) for i in range(count)]
        arrays = np.load(io.BytesIO(case.read("inout.npz")), encoding="bytes", allow_pickle=True)
        inputs, outputs = list(arrays["inputs"]), list(arrays["outputs"])
    workspace = Workspace()
    for name, value in zip(op.input, inputs):
        workspace.feed(name, np.asarray(value))
    workspace.run(op)
    for name, value in zip(op.output, outputs):
        _compare(workspace.fetch(name), np.asarray(value))
    if gradients:
        made, _ = gradient_of(op, [f"{name}_grad" for name in op.output])
        assert list(map(_plain, made)) == list(map(_plain, gradients)), f"gradient operators {made}, wants {gradients}"


def _compare(got: Any, wanted: Any) -> None:
    if wanted.dtype.kind in "SOU":
        np.testing.assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def _plain(op: OperatorDef) -> tuple[Any, ...]:
    """What must be equal: arguments in any order."""
    return op.type, op.input, op.output, op.engine, op.device_option, sorted(op.args.items(), key=lambda item: item[0])
