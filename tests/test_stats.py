"""Statistics that operators keep from run to run: what a sample of one run cannot show."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import DataType, DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.net import BoundNet
from caffe2ops.ops.index.map import Map
from caffe2ops.workspace import Workspace
from tests.kit.sample import int32s, int64s, strings


def bound(
    workspace: Workspace, type_: str, inputs: Any = (), outputs: Any = (), seed: int = 5, **args: Any
) -> BoundNet:
    """A net of one operator, which keeps its state; inputs that are not there yet may come later."""
    for name in inputs:
        workspace.blob(name)
    device = DeviceOption(random_seed=seed)
    op = OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args, device_option=device)
    return workspace.create(NetDef(name=f"{type_} {len(workspace.nets())}", op=(op,)))


def counters(workspace: Workspace, *handle: str, reset: bool = True) -> dict[str, int]:
    bound(workspace, "StatRegistryExport", handle, ("keys", "values", "timestamps"), reset=reset).run()
    keys = [key.decode() for key in workspace.fetch("keys")]
    return dict(zip(keys, workspace.fetch("values").tolist(), strict=True))


def test_accumulated_histogram() -> None:
    workspace = Workspace()
    net = bound(
        workspace, "AccumulateHistogram", ["x"], ["now", "all"], lower_bound=0.0, upper_bound=2.0, num_buckets=2
    )
    for x, now, total in (([-1, 0, 1], [1, 1, 1, 0], [1, 1, 1, 0]), ([1, 2], [0, 0, 1, 1], [1, 1, 2, 1])):
        workspace.feed("x", np.array(x, np.float32))
        net.run()
        assert workspace.fetch("now").tolist() == now
        assert workspace.fetch("all").tolist() == total


def test_average_precision_keeps_the_last_rows_of_its_order() -> None:
    """As recorded from Caffe2: making room drops the highest scores, since the buffer stays sorted."""
    workspace = Workspace()
    net = bound(workspace, "APMeter", ["scores", "labels"], ["ap"], buffer_size=4)
    runs = (
        ([[0.9, 0.1], [0.8, 0.7], [0.1, 0.5]], [[1, 0], [0, 1], [1, 0]], [5 / 6, 1]),
        ([[0.5, 0.5], [0.2, 0.9]], [[0, 1], [1, 1]], [5 / 12, 5 / 6]),
        ([[0.3, 0.4]], [[0, 0]], [5 / 12, 1 / 2]),
    )
    for scores, labels, expected in runs:
        workspace.feed("scores", np.array(scores, np.float32))
        workspace.feed("labels", np.array(labels, np.int32))
        net.run()
        np.testing.assert_allclose(workspace.fetch("ap"), expected, rtol=1e-6)
    workspace.feed("scores", np.zeros((1, 3), np.float32))
    workspace.feed("labels", np.zeros((1, 3), np.int32))
    with pytest.raises(OperatorError, match="predictions: has 3 classes, the runs before had 2"):
        net.run()


def reservoir_of_objects(workspace: Workspace, ids: Any) -> BoundNet:
    workspace.run(OperatorDef(type="CreateMutex", output=("mutex",)))
    workspace.run(OperatorDef(type="CreateMap", output=("places",), args={"key_dtype": DataType.INT64}))
    workspace.feed("reservoir", np.zeros(0, np.float32))
    workspace.feed("visited", int64s(0))
    workspace.feed("data", np.arange(len(ids), dtype=np.float32))
    workspace.feed("ids", np.array(ids, np.int64))
    workspace.feed("objects", int64s())
    kept = ("reservoir", "visited")
    inputs = (*kept, "data", "mutex", "ids", "places", "objects")
    return bound(workspace, "ReservoirSampling", inputs, (*kept, "places", "objects"), num_to_collect=4)


def test_reservoir_of_objects() -> None:
    """As recorded from Caffe2 with the same seed."""
    workspace = Workspace()
    net = reservoir_of_objects(workspace, [1, 1, 2, 3, 3, 4, 5, 2, 1, 9])
    for rows, visited, objects in (
        ([9, 6, 3, 5], 6, [9, 5, 3, 4]),
        ([9, 6, 0, 5], 8, [9, 5, 1, 4]),
        ([3, 6, 0, 5], 10, [3, 5, 1, 4]),
    ):
        net.run()
        assert workspace.fetch("reservoir").tolist() == rows
        assert workspace.fetch("visited") == visited
        assert workspace.fetch("objects").tolist() == objects
        assert workspace.fetch("places").entries == {id_: place for place, id_ in enumerate(objects)}
    workspace.feed("reservoir", np.zeros(0, np.float32))
    net.run()
    assert workspace.fetch("visited") == 6  # an empty reservoir starts anew


@pytest.mark.parametrize(
    ("blob", "value", "message"),
    [
        ("places", "a string", "OBJECT_TO_POS_MAP_IN: holds bytes"),
        ("places", Map(np.int32, np.int32), "OBJECT_TO_POS_MAP_IN: maps int32 to int32"),
        ("ids", int64s(1, 2), r"OBJECT_ID: shape is \[2\]"),
        ("reservoir", np.zeros(2, np.float32), "RESERVOIR has 2 of 4 rows"),
        ("data", np.zeros((), np.float32), "DATA: is a scalar, wants rows"),
    ],
)
def test_reservoir_refuses(blob: str, value: Any, message: str) -> None:
    workspace = Workspace()
    net = reservoir_of_objects(workspace, [1, 2, 3])
    workspace.feed(blob, value)
    with pytest.raises(OperatorError, match=message):
        net.run()


def test_counters_of_a_registry() -> None:
    workspace = Workspace()
    workspace.feed("k", strings("b", "a", "b"))
    workspace.feed("v", int64s(1, 2, 5))
    bound(workspace, "StatRegistryCreate", (), ("registry",)).run()
    update = bound(workspace, "StatRegistryUpdate", ("k", "v", "registry"))
    update.run()
    update.run()
    assert counters(workspace, "registry", reset=False) == {"b": 12, "a": 4}
    assert counters(workspace, "registry") == {"b": 12, "a": 4}
    assert counters(workspace, "registry") == {"b": 0, "a": 0}
    assert counters(workspace) == {}
    assert abs(workspace.fetch("timestamps") - time.time_ns()).max(initial=0) < 1e10


def test_a_workspace_has_one_registry() -> None:
    workspace = Workspace()
    child = Workspace(parent=workspace)
    child.feed("x", int32s(3))
    bound(child, "IncrementPut", ["x"]).run()
    assert counters(Workspace()) == {}
    workspace.reset()
    assert counters(workspace) == {"x/stat_value": 3}
    assert counters(child) == {"x/stat_value": 0}


PUTS = [
    ("IncrementPut", [3.0, 5.0, 10.0], {}, {"": 18}),
    ("AveragePut", [3.0, 5.0, 10.0], {}, {"/sum": 18, "/count": 3}),
    ("StdDevPut", [3.0, 5.0, 10.0], {}, {"/sum": 18, "/count": 3, "/sumoffset": 2, "/sumsqoffset": 4}),
    ("IncrementPut", [15.1111], {"magnitude_expand": 10000}, {"": 151111}),
    ("IncrementPut", [-7.9], {}, {"": -7}),
    ("IncrementPut", [np.nan], {"bound": True}, {"": 0}),
    ("IncrementPut", [1e20], {"bound": True}, {"": 2**63 - 1}),
    ("IncrementPut", [-1e20], {"bound": True}, {"": -(2**63)}),
    ("IncrementPut", [1e20, 1e20], {"bound": True}, {"": -2}),
]


@pytest.mark.parametrize(("type_", "values", "args", "expected"), PUTS)
def test_put(type_: str, values: list[float], args: dict[str, Any], expected: dict[str, int]) -> None:
    """Counters as Caffe2 has them after the same runs of one operator; they are there before the first."""
    workspace = Workspace()
    workspace.feed("x", np.zeros(1))
    net = bound(workspace, type_, ["x"], stat_name="n", **args)
    assert counters(workspace) == {f"n/stat_value{key}": 0 for key in expected}
    for value in values:
        workspace.feed("x", np.array([value]))
        net.run()
    assert counters(workspace) == {f"n/stat_value{key}": value for key, value in expected.items()}


INTEGERS: list[tuple[Any, int, int]] = [
    (np.uint8, 200, 2000),
    (np.int8, -128, -1280),
    (np.int16, 30000, 300000),
    (np.int64, 2**53 + 1, 10 * (2**53 + 1)),
    (np.float16, 1.5, 15),
]


@pytest.mark.parametrize(("dtype", "value", "expected"), INTEGERS)
def test_put_of_a_dtype(dtype: Any, value: int, expected: int) -> None:
    workspace = Workspace()
    workspace.feed("x", np.array(value, dtype))
    bound(workspace, "IncrementPut", ["x"], magnitude_expand=10).run()
    assert counters(workspace) == {"x/stat_value": expected}


def test_timer() -> None:
    workspace = Workspace()
    begin = bound(workspace, "TimerBegin", (), ("t",), counter_name="span")
    get, end = bound(workspace, "TimerGet", ("t",), ("now",)), bound(workspace, "TimerEnd", ("t",))
    both = bound(workspace, "TimerGetAndEnd", ("t",), ("last",))
    assert counters(workspace) == {"span/time_ns/sum": 0, "span/time_ns/count": 0}
    begin.run()
    with pytest.raises(OperatorError, match="already running"):
        begin.run()
    get.run()
    end.run()
    found = counters(workspace)
    assert found["span/time_ns/count"] == 1
    assert 0 < workspace.fetch("now") <= found["span/time_ns/sum"]
    for net in (get, end, both):
        with pytest.raises(OperatorError, match="on a stopped timer"):
            net.run()
    begin.run()
    both.run()
    assert workspace.fetch("last").shape == (1,)
    assert counters(workspace)["span/time_ns/sum"] >= workspace.fetch("last")[0] > 0


def test_time_of_day() -> None:
    workspace = Workspace()
    bound(workspace, "WallClockTime", (), ("now",)).run()
    assert abs(int(workspace.fetch("now")) - time.time_ns()) < 10**10
