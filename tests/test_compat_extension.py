"""The surface of Caffe2's C extension answers as the original does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import DeviceOption, NetDef, OperatorDef
from caffe2ops.compat import extension as C  # noqa: N812
from caffe2ops.defs import TensorShapes
from caffe2ops.formats import decode, encode
from tests.samples.recurrent import BOTH, INPUTS

RELU = OperatorDef(type="Relu", input="x", output="y")
X = np.array([[-1, 2], [3, -4]], np.float32)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path) -> Iterator[None]:
    """An empty workspace in a folder of its own."""
    C.switch_workspace("test", True)
    C.reset_workspace(str(tmp_path))
    yield
    C.switch_workspace("default")


def net(*ops: OperatorDef, name: str = "n") -> bytes:
    return encode(NetDef(name=name, op=ops))


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(RuntimeError) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "?"])
def test_arrays_come_back_as_fed(dtype: str) -> None:
    assert C.feed_blob("a", np.ones((2, 3), dtype)) is True
    found = C.fetch_blob("a")
    assert (found.dtype, found.shape) == (np.dtype(dtype), (2, 3))


@pytest.mark.parametrize("value", [1, 1.5, [1, 2], None, np.float32(3), np.ones(2, "u4"), np.ones(2, "c8")])
def test_what_is_no_tensor_or_string_is_refused(value: Any) -> None:
    refused(lambda: C.feed_blob("a", value))


def test_strings() -> None:
    C.feed_blob("s", "text")
    assert C.fetch_blob("s") == b"text"
    C.feed_blob("s", np.array(["a", b"b"], object))
    assert C.fetch_blob("s").tolist() == [b"a", b"b"]


def test_empty_and_missing_blobs() -> None:
    assert C.create_blob("e")
    assert C.fetch_blob("e") == b"e, a C++ native class of type nullptr (uninitialized)."
    assert "Can't find blob: nope" in refused(lambda: C.fetch_blob("nope"))


def test_nets() -> None:
    C.feed_blob("x", X)
    raw = net(RELU)
    assert C.create_net(raw, False) is True
    assert "exists already" in refused(lambda: C.create_net(raw, False))
    assert C.create_net(raw, True) is True
    assert C.run_net("n", 3, False) is True
    assert C.nets() == ["n"]
    assert C.fetch_blob("y").tolist() == [[0, 2], [3, 0]]
    assert len(C.benchmark_net("n", 1, 2, True)) == 2
    assert C.delete_net("n") is C.delete_net("n") is True
    assert "Can't find net" in refused(lambda: C.run_net("n", 1, False))


def test_errors_are_runtime_errors_and_say_where() -> None:
    C.feed_blob("i", np.ones(2, np.int32))
    bad = net(RELU, OperatorDef(type="Relu", input="i", output="j"))
    C.feed_blob("x", X)
    refused(lambda: C.run_net_once(bad))
    assert C.Workspace.current._last_failed_op_net_position() == 1
    assert "Nope" in refused(lambda: C.run_operator_once(encode(OperatorDef(type="Nope", input="x", output="y"))))
    refused(lambda: C.run_operator_once(encode(RELU.replace(input="missing"))))
    refused(lambda: C.run_operator_once(b"\xff\xff"))
    for call in (C.create_net, C.run_net_once, C.run_operator_once, C.run_plan):
        with pytest.raises(TypeError, match="in bytes, got str"):
            call("...")


@pytest.mark.parametrize(
    ("flag", "op", "numbers"),
    [("exceptions", "Div", (1, 0)), ("exceptions", "Sqrt", (-1,)), ("overflow_exceptions", "Mul", (1e38, 1e38))],
)
def test_floating_point_errors_raise_where_a_flag_says_so(flag: str, op: str, numbers: tuple[float, ...]) -> None:
    names = [f"x{i}" for i in range(len(numbers))]
    for name, number in zip(names, numbers):
        C.feed_blob(name, np.float32([number]))
    raw = encode(OperatorDef(type=op, input=names, output="y"))
    try:
        C.global_init(["caffe2", f"--caffe2_operator_throw_if_fp_{flag}=1"])
        assert "FloatingPointError" in refused(lambda: C.run_operator_once(raw))
    finally:
        C.global_init(["caffe2", f"--caffe2_operator_throw_if_fp_{flag}=0"])
    C.run_operator_once(raw)
    assert not np.isfinite(C.fetch_blob("y")).all()


def test_workspaces() -> None:
    refused(lambda: C.switch_workspace("another"))
    C.feed_blob("x", X)
    C.create_child_workspace("test", "child")
    C.switch_workspace(b"child")
    assert C.current_workspace() == "child"
    assert (C.has_blob("x"), C.blobs(), C.local_blobs()) == (True, ["x"], [])
    C.switch_workspace("test")
    one = C.Workspace(C.Workspace.current)
    assert list(one.blobs) == ["x"]
    assert (one._remove_blob("x"), C.Workspace.current._remove_blob("x")) == (False, True)


def test_tensors_write_through() -> None:
    C.feed_blob("x", X)
    tensor = C.Workspace.current.blobs["x"].tensor()
    tensor.data[0, 0] = 9
    assert C.fetch_blob("x")[0, 0] == 9
    tensor.reshape([4])
    assert C.fetch_blob("x").tolist() == [9, 2, 3, -4]
    tensor.init([2], 2)
    assert (tensor.shape, tensor.data.dtype) == ((2,), np.int32)
    refused(lambda: tensor.init([2], 4))


def test_gradients() -> None:
    given = C.GradientWrapper()
    given.dense = "y_grad"
    (raw,), (gradient,) = C.get_gradient_defs(encode(RELU), [given])
    made = decode(raw, OperatorDef)
    assert (made.type, made.input, made.output, made.is_gradient_op) == (
        "ReluGradient",
        ("y", "y_grad"),
        ("x_grad",),
        True,
    )
    assert gradient.dense == "x_grad"
    assert gradient.is_dense()
    assert "not provided" in refused(lambda: C.get_gradient_defs(encode(RELU), [C.GradientWrapper()]))
    two = encode(RELU.replace(input=("x", "x")))
    assert "schema" in refused(lambda: C.get_gradient_defs(two, [given]))
    ops, (none,) = C.get_gradient_defs(encode(OperatorDef(type="ConstantFill", input="x", output="y")), [given])
    assert (ops, none.is_empty()) == ([], True)


def test_inference_and_cost() -> None:
    shapes = decode(C.infer_shapes_and_types_from_map([net(RELU)], {"x": [3, 4]}), TensorShapes).shapes
    assert [(s.name, s.dims, s.unknown_shape) for s in shapes] == [("x", (3, 4), False), ("y", (3, 4), False)]
    for name, shape in (("X", (2, 3)), ("W", (4, 3)), ("B", (4,))):
        C.feed_blob(name, np.ones(shape, np.float32))
    fc = OperatorDef(type="FC", input=("X", "W", "B"), output="Y")
    assert C.get_operator_cost(encode(fc), ["X", "W", "B"]) == (56, 32, 88)
    option = DeviceOption(device_type=1)
    devices = C.infer_op_input_output_device(encode(fc.replace(device_option=option)))
    assert [[decode(raw, DeviceOption).device_type for raw in side] for side in devices] == [[1, 1, 1], [1]]


def test_schemas_and_names() -> None:
    schema = C.OpSchema.get("FC")
    assert (schema.min_input, schema.max_input, schema.min_output) == (3, 3, 1)
    assert {"axis", "axis_w"} <= {arg.name for arg in schema.args}
    assert C.OpSchema.get("Nope") is None
    assert "Relu" in C.nearby_opnames("Rellu")
    assert [C.op_registry_key("Relu", e) for e in ("", "DEFAULT", "CUDNN")] == ["Relu", "Relu", "Relu_ENGINE_CUDNN"]
    C.global_init(["caffe2", "--caffe2_log_level=0"])
    refused(lambda: C.global_init(["caffe2", "--nosuchflag=1"]))


def test_serialized_blobs_and_databases(tmp_path: Path) -> None:
    C.feed_blob("x", X)
    C.deserialize_blob("z", C.serialize_blob("x"))
    assert C.fetch_blob("z").tolist() == X.tolist()
    db = C.create_db("minidb", str(tmp_path / "db"), C.Mode.new)
    transaction = db.new_transaction()
    transaction.put(b"key", b"value")
    del transaction
    db.close()
    cursor = C.create_db("minidb", str(tmp_path / "db"), C.Mode.read).new_cursor()
    assert (cursor.valid(), cursor.key(), cursor.value()) == (True, b"key", b"value")


def test_preferred_engines_are_heeded_by_operators_that_have_run() -> None:
    C.feed_blob("x", X)
    fill = OperatorDef(type="Relu", input="x", output="y")
    C.run_operator_once(encode(fill))
    C.set_op_engine_pref("Relu", {0: ["NOPE"]})
    try:
        C.run_operator_once(encode(fill))  # no such engine: the default one
    finally:
        C.set_engine_pref({}, {})
    assert C.fetch_blob("y").tolist() == [[0, 2], [3, 0]]


def test_blobs_that_lose_what_they_hold_when_serialized() -> None:
    C.run_operator_once(encode(OperatorDef(type="CreateMutex", output="m")))
    C.deserialize_blob("n", C.serialize_blob("m"))
    C.feed_blob("x", X)
    C.run_operator_once(encode(OperatorDef(type="PackRecords", input="x", output="r", args={"fields": ["x"]})))
    with pytest.warns(UserWarning, match="packed records have no serialized form"):
        raw = C.serialize_blob("r")
    C.deserialize_blob("s", raw)
    fetch = C.Workspace.current.engine.fetch
    assert (type(fetch("n")), fetch("n") is fetch("m")) == (type(fetch("m")), False)
    assert fetch("s").tolist() == [None, None]


def chain(*names: str) -> list[OperatorDef]:
    return [OperatorDef(type="Exp", input=x, output=y) for x, y in pairwise(names)]


def outputs(raw: bytes) -> list[str]:
    return [op.output[0] for op in decode(raw, NetDef).op]


def test_nets_with_fewer_blobs() -> None:
    raw = net(*chain("x", "a", "b", "c", "d", "y"))
    assert outputs(C.memonger_optimize_inference_net(raw, ["x", "y"])) == [
        "__m0_shared",
        "__m1_shared",
        "__m0_shared",
        "__m1_shared",
        "y",
    ]
    assert outputs(C.memonger_optimize_inference_net(raw, [b"a", b"c"]))[::2] == ["a", "c", "y"]
    once = C.memonger_optimize_inference_net(raw, [])
    assert C.memonger_optimize_inference_net(once, []) == once
    dag = encode(decode(raw, NetDef).replace(type="dag"))
    assert C.memonger_optimize_inference_net(dag, []) == dag


def test_branches_share_no_blobs() -> None:
    """Their operators may run at the same time; what comes after both may take up the blobs of either."""
    ends = OperatorDef(type="Sum", input=("a3", "b3"), output=("c1",))
    raw = net(*chain("x", "a1", "a2", "a3"), *chain("x", "b1", "b2", "b3"), ends, *chain("c1", "c2", "y"))
    names = {"a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "y"}

    def shared(keep: set[str], sizes: dict[str, list[int]]) -> list[str]:
        args = (["x"], range(9), names, "s/", keep, sizes)
        return outputs(C.memonger_compute_blob_recycling_for_dag(raw, *args))

    found = shared(set(), {})
    assert set(found[:3]).isdisjoint(found[3:6])
    assert found[0] == found[2] == "s/__m0_shared"
    assert found[6] in {found[1], found[4]}
    assert found[8] == "y"
    assert shared({"a1"}, {})[0] == "a1"
    assert shared(set(), {"b2": [9, 9], "c1": [80]})[6] == shared(set(), {"b2": [9, 9], "c1": [80]})[4]
    refused(
        lambda: C.memonger_compute_blob_recycling_for_dag(
            net(OperatorDef(type="IndexFreeze", input="A", output="B")), [], [0], [], "", [], {}
        )
    )


def test_blobs_that_arguments_name_are_not_shared() -> None:
    inner = NetDef(name="inner", op=tuple(chain("a", "inside")))
    ops = [
        *chain("x", "a", "b", "c"),
        OperatorDef(type="If", input="c", args={"then_net": inner}),
        *chain("c", "d", "y"),
    ]
    found = [op.output[:1] for op in decode(C.memonger_optimize_inference_net(net(*ops), []), NetDef).op]
    assert found[0] == ("a",)
    assert found[1] == found[4]


def test_observers_plans_and_predictor() -> None:
    C.feed_blob("x", X)
    C.create_net(net(RELU), False)
    observer = C.add_observer_to_net("n", "TimeObserver")
    C.run_net("n", 2, False)
    assert observer.average_time() > 0
    C.remove_observer_from_net("n", observer)
    assert C.num_observers_on_net("n") == 0
    predict = NetDef(name="p", op=(RELU,), external_input=("x",), external_output=("y",))
    (y,) = C.Predictor(encode(NetDef(name="i")), encode(predict)).run([X])
    assert y.tolist() == [[0, 2], [3, 0]]


@pytest.mark.filterwarnings("error")
def test_operators_of_step_nets_are_counted() -> None:
    """And arguments of Caffe2's executor and memonger, which mean nothing here, are not warned of."""
    names = [f"in{i}" for i in range(len(INPUTS))]
    for name, value in zip(names, INPUTS):
        C.feed_blob(name, value)
    args = {**BOTH, "rnn_executor.num_threads": 2, "in0.rename": "in0"}
    C.create_net(net(OperatorDef(type="RecurrentNetwork", input=names, output=("out0", "out1", "steps"), args=args)))
    counter = C.add_observer_to_net("n", "RunCountObserver")
    C.run_net("n", 2, False)
    assert counter.debug_info() == f"This operator runs {2 * (1 + len(INPUTS[0]) * len(BOTH['step_net'].op))} times."


PYTHON = """
import numpy as np
from caffe2ops import NetDef, OperatorDef
from caffe2ops.compat import extension as C  # noqa: N812
from caffe2ops.formats import decode, encode

def forward(inputs, outputs):
    outputs[0].feed(inputs[0].data * 2)

def backward(inputs, outputs):
    outputs[0].reshape(inputs[0].shape)
    outputs[0].data[...] = inputs[2].data * 2

def fails(inputs, outputs):
    raise KeyError("its own")

C.feed_blob("x", np.array([1.5], np.float32))
token = C.register_python_op(forward, False, "")
C.register_python_gradient_op(token, backward)
op = OperatorDef(type="Python", input="x", output="y", args={"token": token})
C.run_operator_once(encode(op))
assert C.fetch_blob("y").tolist() == [3]
given = C.GradientWrapper()
given.dense = "y_grad"
ops, gradients = C.get_gradient_defs(encode(op), [given])
C.feed_blob("y_grad", np.array([5], np.float32))
C.run_operator_once(ops[0])
assert C.fetch_blob("x_grad").tolist() == [10]
try:
    C.run_operator_once(encode(op.replace(args={"token": C.register_python_op(fails, False, "")})))
except KeyError as error:
    print(error)

class Capsule:
    def __init__(self, tensor):
        self.__dlpack__, self.__dlpack_device__ = (lambda **_: tensor.data), (lambda: (1, 0))

def shared(inputs, outputs):
    outputs[0].feed(np.from_dlpack(Capsule(inputs[0])) + 1)

token = C.register_python_op(shared, False, "")
op = op.replace(type="PythonDLPack", args={"token": token})
C.run_operator_once(encode(op))
assert C.fetch_blob("y").tolist() == [2.5]
ops, _ = C.get_gradient_defs(encode(op), [given])
assert decode(ops[0], OperatorDef).type == "PythonDLPackGradient"
try:
    C.run_operator_once(encode(op.replace(args={"pickled_builder": b"..."})))
except RuntimeError as error:
    assert "pickled function, which is refused" in str(error)
"""


def test_python_operators() -> None:
    """In a process of its own: these operators are registered with the first function."""
    done = subprocess.run([sys.executable, "-c", PYTHON], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("'its own'", "")
