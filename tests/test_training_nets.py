"""The backward pass of whole nets equals what the real Caffe2 generated (tests/golden/training_nets/record.py)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import caffe2ops
from caffe2ops import NetDef, OperatorDef, registry
from caffe2ops.errors import GradientError
from caffe2ops.gradient import AUTO_SUM, GradientSlice, add_gradients

FOLDER = Path(__file__).parent / "golden" / "training_nets"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
# {net: reason} where caffe2ops means to differ
INTENDED: dict[str, str] = {
    "sqr": "the gradient of Sqr scales the gradient that comes in; here a copy of it, where others read it too",
}
# {net: reason} that Caffe2 differentiates wrongly, and that are refused here
REFUSED: dict[str, str] = {
    "unused_output_of_split": "Caffe2 joins the gradients that there are, to a tensor of the wrong shape",
}
DIFFERENTIATED = [name for name, entry in INDEX.items() if "error" not in entry and name not in REFUSED]


def net_of(name: str) -> NetDef:
    net = caffe2ops.load(FOLDER / f"{name}.pbtxt")
    assert isinstance(net, NetDef)
    return net


def forward_of(name: str) -> NetDef:
    net = net_of(name)
    return net.replace(op=net.op[: INDEX[name]["forward"]])


def losses(ys: Any) -> Any:
    if isinstance(ys, list):
        return ys
    return {y: GradientSlice(*given) if isinstance(given, list) else given for y, given in ys.items()}


def described(op: OperatorDef) -> dict[str, Any]:
    """What is compared of an operator: everything that Caffe2 writes, bools and whole floats alike."""
    device = None if op.device_option is None else op.device_option.model_dump(exclude_defaults=True)
    return {
        "type": op.type,
        "input": op.input,
        "output": op.output,
        "args": dict(sorted(op.args.items())),
        "name": op.name,
        "engine": op.engine,
        "device": device or None,
    }


def ordered(ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums of split gradients that stand together in the order of their names: Caffe2 leaves it to chance."""

    def is_sum(op: dict[str, Any]) -> bool:
        return AUTO_SUM in ((op["device"] or {}).get("extra_info") or ())

    runs = [list(run) for _, run in itertools.groupby(ops, is_sum)]
    return [op for run in runs for op in (sorted(run, key=lambda op: op["output"]) if is_sum(run[0]) else run)]


def require_operators(name: str) -> None:
    wanted = {op.type for op in forward_of(name).op}
    if missing := sorted(wanted - set(registry.types())):
        pytest.skip(f"operators missing: {', '.join(missing)}")


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_generated_operators(name: str) -> None:
    require_operators(name)
    entry = INDEX[name]
    net, _ = add_gradients(forward_of(name), losses(entry["ys"]), entry["skip"])
    end = entry["forward"] + entry["gradient"]
    expected = ordered([described(op) for op in net_of(name).op[entry["forward"] : end]])
    actual = ordered([described(op) for op in net.op[entry["forward"] :]])
    if name in INTENDED:
        assert actual != expected, INTENDED[name]
        return
    assert [op["type"] for op in actual] == [op["type"] for op in expected]
    for mine, theirs in zip(actual, expected, strict=True):
        assert mine == theirs


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradient_map(name: str) -> None:
    require_operators(name)
    entry = INDEX[name]
    _, gradients = add_gradients(forward_of(name), losses(entry["ys"]), entry["skip"])
    plain = {blob: list(g) if isinstance(g, GradientSlice) else g for blob, g in gradients.items()}
    if entry.get("map_of") == "parameters":
        plain = {blob: g for blob, g in plain.items() if blob in entry["map"]}
    assert plain == entry["map"]


@pytest.mark.parametrize("name", sorted(INDEX.keys() - DIFFERENTIATED))
def test_refused(name: str) -> None:
    require_operators(name)
    entry = INDEX[name]
    with pytest.raises(GradientError):
        add_gradients(forward_of(name), losses(entry["ys"]), entry["skip"])
