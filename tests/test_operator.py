"""Operator classes: registration, arguments, schemas, and what they refuse."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from caffe2ops import (
    Arg,
    DeviceOption,
    NetDef,
    Operator,
    OperatorDef,
    OperatorError,
    SchemaError,
    UnknownOperator,
    Workspace,
    registry,
)
from caffe2ops.defs import Argument


@pytest.fixture
def scaled() -> Iterator[type[Operator]]:
    class TestScaled(Operator):
        """Y = X * factor + sum(offsets)."""

        contract = "X: float[N] -> Y: X[N]"
        factor: float = Arg(2.0, gt=0, doc="multiplier")
        offsets: list[int] = Arg((), doc="added")
        mode: str = Arg("plain", choices=("plain", "double"), doc="whether to double")
        count: int = Arg(ge=1, le=3, doc="required")
        flag: bool = Arg(False, doc="a flag")

        def run_cpu(self, x: Any) -> Any:
            return x * x.dtype.type(self.factor) + sum(self.offsets)

    yield TestScaled
    registry.unregister("TestScaled")


def make(args: dict[str, Any], strict: bool = False) -> Any:
    return registry.create(OperatorDef(type="TestScaled", input="X", output="Y", args=args), strict=strict)


def test_arguments_are_typed(scaled: type[Operator]) -> None:
    op = make({"count": 2.0, "factor": 3, "offsets": np.arange(3), "mode": b"double", "flag": 1})
    assert (op.count, op.factor, op.offsets, op.mode, op.flag) == (2, 3.0, [0, 1, 2], "double", True)
    assert (make({"count": 1}).factor, make({"count": 1}).offsets) == (2.0, [])
    assert [type(v) for v in (op.count, op.factor, op.flag)] == [int, float, bool]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "TestScaled: argument count is missing, wants int"),
        ({"count": 0}, "TestScaled: count = 0, wants >= 1"),
        ({"count": 4}, "TestScaled: count = 4, wants <= 3"),
        ({"count": 1.5}, "TestScaled: count = 1.5, wants int"),
        ({"count": 1, "factor": 0}, "TestScaled: factor = 0, wants > 0"),
        ({"count": 1, "factor": "x"}, "TestScaled: factor = 'x', wants float"),
        ({"count": 1, "mode": "tripled"}, "TestScaled: mode = 'tripled', wants 'plain' or 'double'"),
        ({"count": 1, "mode": b"\xff"}, "TestScaled: mode = b'.*', wants str"),
        ({"count": 1, "offsets": ("a",)}, r"TestScaled: offsets = \('a',\), wants list\[int\]"),
    ],
)
def test_wrong_arguments(scaled: type[Operator], args: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        make(args)


def test_unknown_argument_raises_when_building_and_warns_when_loading(scaled: type[Operator]) -> None:
    message = "TestScaled has no argument 'factr'; did you mean factor"
    with pytest.raises(SchemaError, match=message):
        make({"count": 1, "factr": 2}, strict=True)
    with pytest.warns(UserWarning, match=message):
        make({"count": 1, "factr": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make({"count": 1, "order": "NCHW"})  # Caffe2's front end puts it on any operator


def test_arguments_written_in_several_fields_or_twice(scaled: type[Operator]) -> None:
    assert make({"count": Argument(i=2, f=7.0)}).count == 2
    assert make({"count": (Argument(i=2), Argument(i=2))}).count == 2
    with pytest.raises(SchemaError, match="count is given 2 times with different values"):
        make({"count": (Argument(i=2), Argument(i=3))})


def test_schema(scaled: type[Operator]) -> None:
    schema = scaled.schema_of()
    assert (schema.min_input, schema.max_input, schema.min_output, schema.max_output) == (1, 1, 1, 1)
    assert {arg.name: arg.required for arg in schema.args}["count"]
    assert schema.devices == ("cpu",)
    assert schema.source.endswith("test_operator.py")
    assert schema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    ("inplace", "enforced", "may", "must"),
    [
        (((0, 1),), (), {(0, 1)}, set()),
        ((), ((1, 0),), {(1, 0)}, {(1, 0)}),
        ("input == output", (), {(0, 0), (1, 1)}, set()),
        ((), "input == output + 1", {(1, 0)}, {(1, 0)}),
        ("any", (), {(0, 0), (0, 1), (1, 0), (1, 1)}, set()),
    ],
)
def test_pairs_in_place(scaled: type[Operator], inplace: Any, enforced: Any, may: set[Any], must: set[Any]) -> None:
    """Pairs are listed, or follow a rule."""
    schema = scaled.schema_of().model_copy(update={"inplace": inplace, "inplace_enforced": enforced})
    pairs = [(i, j) for i in range(2) for j in range(2)]
    assert {pair for pair in pairs if schema.may_share(*pair)} == may
    assert {pair for pair in pairs if schema.must_share(*pair)} == must


LINE = "X: float -> Y: X"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"contract": LINE, "__annotations__": {"k": dict}, "k": Arg(1)},
            "TestWrong.k: annotated 'dict', an Arg wants",
        ),
        (
            {"contract": LINE, "__annotations__": {"k": int}, "k": Arg("a")},
            "TestWrong.k: the default is 'a', wants int",
        ),
        ({"contract": "X: float, X: float -> Y: X"}, "X stands twice in 'X: float, X: float'"),
        ({"contract": "X: float -> Y: $to[2]"}, r"\$to is no argument of TestWrong"),
    ],
)
def test_declarations_refused(members: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        type("TestWrong", (Operator,), members)


def test_a_kernel_without_a_result(scaled: type[Operator], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled, "run_cpu", lambda self, x: None)
    workspace = Workspace()
    workspace.feed("X", np.ones(2, np.float32))
    with pytest.raises(OperatorError, match="the kernel gave nothing, the definition names 1 outputs"):
        workspace.run(OperatorDef(type="TestScaled", input="X", output="Y", args={"count": 1}))


def test_duplicate_registration_names_both_places(scaled: type[Operator]) -> None:
    with pytest.raises(
        ValueError, match=r"TestScaled is declared at .*test_operator.py:\d+ and again at .*test_operator.py:\d+"
    ):
        type("TestScaled", (Operator,), {"contract": "X: float -> Y: X"})


def test_engines_fall_back_and_are_preferred(scaled: type[Operator]) -> None:
    class TestScaledFast(scaled, engine="FAST"):  # type: ignore[misc, valid-type]
        """The same, elsewhere."""

        def run_cpu(self, x: Any) -> Any:
            return x * 0

    def kind(engine: str = "", preferences: dict[str, Any] | None = None) -> str:
        op_def = OperatorDef(type="TestScaled", input="X", output="Y", args={"count": 1}, engine=engine)
        return type(registry.create(op_def, preferences=preferences)).__name__

    try:
        assert kind() == "TestScaled"
        assert kind("FAST") == kind("NNPACK,FAST") == "TestScaledFast"
        assert kind("NNPACK") == "TestScaled"
        assert kind(preferences={"TestScaled": ["FAST"]}) == kind(preferences={"*": ["FAST"]}) == "TestScaledFast"
    finally:
        registry.unregister("TestScaled", "FAST")


def test_unknown_types_and_devices(scaled: type[Operator]) -> None:
    with pytest.raises(
        UnknownOperator, match=r"no operator of type 'Reluu' .*mean Relu or ReluN or PRelu or SumRelu\?"
    ):
        registry.get("Reluu")
    op = OperatorDef(type="TestScaled", input="X", output="Y", args={"count": 1})
    with pytest.raises(UnknownOperator, match=r"has no cuda kernel \(it has cpu\); declared at"):
        registry.create(op.replace(device_option=DeviceOption(device_type=1)))
    with pytest.raises(UnknownOperator, match=r"device type 3 is not supported, there are 0 .cpu. and 1 .cuda."):
        registry.create(op.replace(device_option=DeviceOption(device_type=3)))


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (OperatorDef(type="Relu", input=("a", "b"), output="y"), r"Relu: has 2 inputs, wants 1 \(X\)"),
        (OperatorDef(type="Relu", input="a"), r"Relu: has 0 outputs, wants 1 \(Y\)"),
        (
            OperatorDef(type="Softmax", input="a", output="a"),
            "Softmax: output 0 is input 0 .* may not be computed in place",
        ),
        (OperatorDef(type="Iter", input="a", output="b"), r"Iter: output 0 \('b'\) must be input 0 \('a'\)"),
        (
            OperatorDef(type="EnqueueBlobs", input=("q", "a", "b"), output=("a", "c")),
            r"EnqueueBlobs: output 1 \('c'\) must be input 2 \('b'\)",
        ),
    ],
)
def test_verification(op: OperatorDef, message: str) -> None:
    workspace = Workspace()
    for name in op.input:
        workspace.feed(name, np.zeros(2, np.float32))
    with pytest.raises(OperatorError, match=message):
        workspace.run(NetDef(name="n", op=(op,)))


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_arguments_in_modules_that_put_annotations_off_or_not(head: str) -> None:
    kinds = ["int", "float", "bool", "str", "bytes", "NetDef", "list[int]", "list[bytes]", "list[NetDef]", "np.ndarray"]
    fields = "".join(f"    a{i}: {kind} = Arg()\n" for i, kind in enumerate(kinds))
    text = f"{head}import numpy as np\nfrom caffe2ops import Arg, NetDef, Operator\nclass Odd(Operator):\n{fields}"
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(text, "example.py", "exec", dont_inherit=True), namespace)
    assert [spec.type for spec in namespace["Odd"].arg_specs.values()] == kinds
