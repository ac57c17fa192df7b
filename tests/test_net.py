"""Bound nets: order, buffers, the bare form, errors, observers."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from caffe2ops import (
    DeviceOption,
    ExecutionStep,
    Net,
    NetDef,
    OperatorDef,
    OperatorError,
    PlanDef,
    Timing,
    Workspace,
)
from caffe2ops.one_operator import OneOperator

X = np.array([-1.0, 2.0, 3.0], np.float32)


def chain() -> NetDef:
    net = Net("chain")
    net.Relu("x", "a")
    net.Add(["a", "c"], "b")
    net.Relu("b", "b")
    net.Sum(["b", "x"], "y")
    return net.definition


def expected(x: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.maximum(np.maximum(x, 0) + c, 0) + x


def test_runs_agree_whatever_is_fed_between_them() -> None:
    workspace = Workspace()
    c = np.array([0.5, -9, 1], np.float32)
    workspace.feed("x", X)
    workspace.feed("c", c)
    net = workspace.create(chain())
    for x in (X, X * 2, X - 5):  # the second run and later ones take the bare form
        workspace.feed("x", x)
        net.run()
        np.testing.assert_array_equal(workspace.fetch("y"), expected(x, c))
    for n in (4, 2, 0, 3):  # other shapes: the bare form is given up and found anew
        x, c = np.linspace(-1, 1, n, dtype=np.float32), np.full(n, 0.25, np.float32)
        workspace.feed("x", x)
        workspace.feed("c", c)
        for _ in range(3):
            net.run()
            np.testing.assert_array_equal(workspace.fetch("y"), expected(x, c))


def test_another_net_may_replace_an_array_between_runs() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    workspace.feed("c", X)
    net = workspace.create(chain())
    for _ in range(3):
        net.run()
    workspace.run(OperatorDef(type="ConstantFill", output="c", args={"shape": (3,), "value": 10.0}))
    net.run()
    np.testing.assert_array_equal(workspace.fetch("y"), expected(X, np.full(3, 10, np.float32)))
    workspace.blob("c").set(np.full(3, 20, np.float32))
    net.run()
    np.testing.assert_array_equal(workspace.fetch("y"), expected(X, np.full(3, 20, np.float32)))


def test_output_buffers_are_reused() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    workspace.feed("c", X)
    net = workspace.create(chain())
    net.run()
    held = workspace.blob("y").value
    net.run()
    net.run()
    assert workspace.blob("y").value is held


def test_a_blob_written_twice_and_updated_in_place() -> None:
    workspace = Workspace()
    workspace.feed("w", np.ones(2, np.float32))
    workspace.feed("g", np.full(2, 0.5, np.float32))
    step = NetDef(name="step", op=(
        OperatorDef(type="Sum", input=("w", "g"), output="w"),
        OperatorDef(type="Relu", input="w", output="y"),
        OperatorDef(type="Sum", input=("w", "g"), output="w"),
    ))  # fmt: skip
    net = workspace.create(step)
    for run in range(1, 5):
        net.run()
        assert workspace.fetch("w").tolist() == [1 + run] * 2
        assert workspace.fetch("y").tolist() == [0.5 + run] * 2


def test_missing_blob() -> None:
    workspace = Workspace()
    workspace.feed("datum", X)
    net = NetDef(name="n", op=(OperatorDef(type="Relu", input="data", output="y"),), external_input=("data",))
    with pytest.raises(OperatorError) as caught:
        workspace.create(net)
    assert (caught.value.net, caught.value.index, caught.value.op.type) == ("n", 0, "Relu")
    text = str(caught.value)
    assert "net 'n', operator 0, Relu: input blob 'data' does not exist in the workspace" in text
    assert "the net expects 'data' to be there" in text
    assert "did you mean datum" in text


def test_unknown_source_and_unwritten_output() -> None:
    op = OperatorDef(type="Relu", input="b", output="y")
    with pytest.raises(OperatorError, match="'b' is neither an external input of the net nor written"):
        Workspace().create(NetDef(name="n", op=(op,), external_input=("a",)))
    with pytest.raises(ValueError, match="external output 'z' is never written"):
        Workspace().create(NetDef(name="n", op=(op,), external_input=("b",), external_output=("z",)))
    with pytest.raises(ValueError, match="unknown type 'dagg'; did you mean dag"):
        Workspace().create(NetDef(name="n", type="dagg"))


def test_failing_operator_says_where_and_with_what() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    workspace.feed("i", np.arange(3, dtype=np.int32))
    ops = (
        OperatorDef(type="Relu", input="x", output="y"),
        OperatorDef(type="Relu", input="i", output="z", name="second", debug_info="made by hand"),
    )
    net = workspace.create(NetDef(name="n", op=ops))
    for _ in range(2):
        with pytest.raises(OperatorError) as caught:
            net.run()
        assert str(caught.value) == (
            "net 'n', operator 1, Relu 'second': X: dtype is int32, wants float32 or float64 or float16\n"
            "  inputs: i int32[3]\n  outputs: z\n  debug info: made by hand"
        )
        assert isinstance(caught.value.__cause__, TypeError)
    np.testing.assert_array_equal(workspace.fetch("y"), np.maximum(X, 0))


@pytest.mark.parametrize("kind", ["", "simple", "dag", "async_scheduling", "prof_dag"])
def test_net_types(kind: str) -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    workspace.feed("c", X)
    workspace.run(chain().replace(type=kind))
    np.testing.assert_array_equal(workspace.fetch("y"), expected(X, X))


def test_timing_observer() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    workspace.feed("c", X)
    net = workspace.create(chain())
    timing = Timing()
    net.observers.append(timing)
    for _ in range(3):
        net.run()
    rows = timing.rows()
    assert [row[1] for row in rows] == ["Relu", "Add", "Relu", "Sum"]
    assert sum(row[5] for row in rows) == pytest.approx(1)
    assert all(0 < least <= mean for _, _, _, mean, least, _ in rows)
    assert len(timing.net_seconds) == 3


def test_device_of_the_net_and_of_the_call() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    net = NetDef(
        name="n", op=(OperatorDef(type="Relu", input="x", output="y"),), device_option=DeviceOption(device_type=1)
    )
    workspace.run(net, device=DeviceOption())
    np.testing.assert_array_equal(workspace.fetch("y"), np.maximum(X, 0))
    bound = workspace.create(net, device=DeviceOption())
    with pytest.raises(ValueError, match="net 'n' was created on its devices: give `device` to create"):
        workspace.run(bound.name, device=DeviceOption())


GPU = DeviceOption(device_type=1, random_seed=7)
FILL = OperatorDef(type="UniformFill", output="y", args={"shape": (3,)})
INNER = NetDef(name="inner", op=(FILL.replace(device_option=GPU),))


@pytest.mark.parametrize(
    "what",
    [
        FILL.replace(device_option=GPU),
        NetDef(op=(FILL.replace(device_option=GPU),)),
        NetDef(op=(FILL,), device_option=GPU),
        NetDef(
            op=(FILL.replace(output="z"), OperatorDef(type="CopyGPUToCPU", input="z", output="y")), device_option=GPU
        ),
        NetDef(op=(OperatorDef(type="If", input="c", output="y", args={"then_net": INNER}),)),
        PlanDef(network=(INNER,), execution_step=(ExecutionStep(network="inner"),)),
    ],
    ids=["operator", "net", "net of one device", "there and back", "inner net", "plan"],
)
def test_all_of_it_runs_on_another_device_with_its_seeds(what: Any) -> None:
    workspace = Workspace()
    workspace.feed("c", np.array(True))
    workspace.run(what, device=DeviceOption())
    np.testing.assert_allclose(workspace.fetch("y"), [0.53492254, 0.19880319, 0.6592117])  # Caffe2's


def test_operators_get_the_random_seed_of_their_net() -> None:
    workspace = Workspace()
    workspace.run(NetDef(op=(FILL, FILL.replace(output="z")), device_option=DeviceOption(random_seed=7)))
    for name in "yz":
        np.testing.assert_allclose(workspace.fetch(name), [0.53492254, 0.19880319, 0.6592117])  # Caffe2's


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="cupy is here")
def test_a_net_for_a_gpu_says_what_it_wants() -> None:
    workspace = Workspace()
    workspace.feed("x", X)
    with pytest.raises(OperatorError, match=r"Relu: .*cupy: pip install .*device=DeviceOption\(\)"):
        workspace.run(OperatorDef(type="Relu", input="x", output="y", device_option=GPU))


def test_one_operator_runs_as_if_just_created() -> None:
    """Also where dtypes and shapes change, and in another workspace; an operator starts anew each time."""
    relu = OneOperator(OperatorDef(type="Relu", input=("x",), output=("y",)))
    for x in (X, X.reshape(3, 1), X.astype(np.float64)):
        workspace = Workspace()
        with pytest.raises(OperatorError, match="'x' does not exist"):
            relu.run(workspace)
        workspace.feed("x", x)
        relu.run(workspace, 2)
        np.testing.assert_array_equal(workspace.fetch("y"), np.maximum(x, 0))
        workspace.feed("x", np.array([b"a"], object))
        with pytest.raises(OperatorError, match="dtype is object"):
            relu.run(workspace)
    workspace = Workspace()
    option = DeviceOption(random_seed=7)
    draw = OneOperator(OperatorDef(type="UniformFill", output=("u",), args={"shape": [4]}, device_option=option))
    found = []
    for times in (1, 1, 2):
        draw.run(workspace, times)
        found.append(workspace.fetch("u").tolist())
    assert found[0] == found[1] != found[2]


def test_operators_with_a_mutex_lose_nothing() -> None:
    """However threads interleave: the mutex is held from reading the blobs to writing them."""
    workspace = Workspace()
    workspace.run(OperatorDef(type="CreateMutex", output=("m",)))
    for name, value in {
        "rows": np.zeros(0, np.int64),
        "more": np.arange(3),
        "n": np.int32([0]),
        "1": np.int32([1]),
    }.items():
        workspace.feed(name, value)
    ops = [
        OperatorDef(type="AtomicAppend", input=("m", "rows", "more"), output=("rows",)),
        OperatorDef(type="AtomicFetchAdd", input=("m", "n", "1"), output=("n", "before")),
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(workspace.run, ops * 200))
    finally:
        sys.setswitchinterval(interval)
    assert workspace.fetch("rows").tolist() == [0, 1, 2] * 200
    assert workspace.fetch("n").item() == 200
    workspace.feed("m", np.zeros(1))
    with pytest.raises(OperatorError, match="mutex: holds ndarray, wants what CreateMutex makes"):
        workspace.run(ops[0])
