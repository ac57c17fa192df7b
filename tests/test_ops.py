"""The matrix: properties that hold for every sample of every operator, on every device.

A new operator needs no test function, only a Sample in tests/samples. What is not there yet stands in tests/debts.toml.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import registry
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError, OperatorError, SchemaError, UnknownOperator
from caffe2ops.formats.binary import decode, encode
from caffe2ops.infer import TensorSpec, Unknown
from tests.kit import golden
from tests.kit.call import (
    definition,
    feed,
    feeds_of,
    fetch,
    is_differentiated,
    is_tensor,
    net_of,
    outputs_of,
    prepared,
    run,
)
from tests.kit.compare import CUDA_TOLERANCES, TOLERANCES, assert_same
from tests.kit.devices import CUDA_KINDS, KINDS
from tests.kit.gradient import backward_of, check_sample, recorded_seeds, run_backward
from tests.kit.sample import Blob, Sample, collect
from tests.kit.vary import poison, strided, zero_sized

CLEAN = (ValueError, TypeError, LookupError, OSError, OperatorError)  # what an operator may fail with


def runs_on(sample: Sample, kind: str) -> bool:
    device = "cpu" if kind == "cpu" else "cuda"
    strings = any(getattr(value, "dtype", np.dtype(int)).hasobject for value in sample.inputs)  # they live on the CPU
    return (
        device in sample.devices
        and hasattr(registry.get(sample.op), f"run_{device}")
        and (kind == "cpu" or not strings)
    )


SAMPLES = [sample for sample in collect() if sample.op in registry.types()]
GOOD = [sample for sample in SAMPLES if sample.error is None]
BAD = [sample for sample in SAMPLES if sample.error is not None]
STEADY = [  # that answer the same every time
    s for s in GOOD if not (s.random or s.stateful or s.before) and s.seed is None
]
DIFFERENTIABLE = [s for s in GOOD if is_differentiated(s)]
FIRST = list({sample.op: sample for sample in reversed(GOOD)}.values())[::-1]  # one of each operator


def few(samples: list[Sample], most: int = 6) -> list[Sample]:
    """At most so many samples of each operator, for properties that hardly depend on the values."""
    of_type: dict[str, list[Sample]] = {}
    for sample in samples:
        of_type.setdefault(sample.op, []).append(sample)
    return [sample for group in of_type.values() for sample in group[:most]]


def over(samples: list[Sample]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.id)


def over_devices(samples: list[Sample], kinds: tuple[str, ...] = KINDS) -> pytest.MarkDecorator:
    pairs = [(s, kind) for s in samples for kind in kinds if runs_on(s, kind)]
    ids = [f"{sample.id}-{kind}" for sample, kind in pairs]
    return pytest.mark.parametrize(("sample", "device"), pairs, ids=ids, indirect=["device"])


def assert_like(sample: Sample, actual: list[Any], expected: list[Any], device: str = "cpu", what: str = "") -> None:
    """Outputs agree with those of another way of running the same thing."""
    assert len(actual) == len(expected)
    for i, (mine, other) in enumerate(zip(actual, expected, strict=True)):
        if is_tensor(other):
            table = TOLERANCES if device == "cpu" else CUDA_TOLERANCES
            assert_same(mine, other, f"{what}output {i}", sample.tolerance if device == "cuda" else None, table)
        elif isinstance(other, bytes):
            assert mine == other


def recorded(sample: Sample) -> dict[str, Any]:
    """The real Caffe2's answer; the test fails where there should be one, and is skipped where there cannot be."""
    if not golden.is_asked(sample):
        pytest.skip(sample.reason or "the reference cannot be asked")
    answer = golden.answer(sample)
    assert answer is not None, f"no golden answer for {sample.id}; {golden.RERECORD.format(family=sample.family)}"
    return answer


@over_devices(GOOD)
def test_answer(sample: Sample, device: str, root: Path) -> None:
    """Outputs are those of the real Caffe2, or those that the sample gives; nothing else is written."""
    op = definition(sample, device)
    workspace = prepared(sample, root, device)
    workspace.run(op)
    outputs = outputs_of(workspace, op)
    for name, value in feeds_of(sample).items():
        if name not in op.output and is_tensor(value):
            np.testing.assert_array_equal(fetch(workspace, name), value, err_msg=f"input {name} has changed")
    if sample.expected is not None:
        for i, value in enumerate(sample.expected):
            assert_same(outputs[i], value, f"output {i}", sample.tolerance)
    if sample.expected is not None and not golden.is_asked(sample):
        return
    answer = recorded(sample)
    assert "!error" not in answer, f"Caffe2 refuses this: {answer['!error']}"
    table = TOLERANCES if device == "cpu" else CUDA_TOLERANCES
    for i, mine in enumerate(outputs):
        theirs = answer.get(f"out{i}")
        if theirs is None:
            assert not is_tensor(mine), f"output {i} is a tensor, Caffe2's is none"
        elif sample.random:
            assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), f"output {i}"
        else:
            assert_same(mine, theirs, f"output {i}", sample.tolerance, table)


@over_devices(BAD)
def test_refusal(sample: Sample, device: str, root: Path) -> None:
    """A bad sample raises the message it names; where Caffe2 takes it, the sample says why caffe2ops does not."""
    with pytest.raises((SchemaError, OperatorError), match=sample.error):
        run(sample, root, device)
    if golden.is_asked(sample):
        assert "!error" in recorded(sample), (
            "Caffe2 answers this; if refusing is right, say golden=False and the reason"
        )


@over(GOOD)
def test_inference(sample: Sample, root: Path) -> None:
    """Inferred shapes and dtypes are the actual ones, as far as they are known."""
    op = definition(sample)
    workspace = prepared(sample, root)
    specs = registry.create(op, workspace).infer_specs([spec_of(workspace.find(name).value) for name in op.input])
    workspace.run(op)
    for spec, value in zip(specs, outputs_of(workspace, op), strict=True):
        if is_tensor(value):
            assert_fits(spec, value)


def spec_of(value: Any) -> TensorSpec | None:
    return TensorSpec(value.shape, value.dtype) if isinstance(value, (np.ndarray, np.generic)) else None


def assert_fits(spec: TensorSpec, value: np.ndarray) -> None:
    assert spec.dtype in (None, value.dtype), f"inferred dtype {spec.dtype}, is {value.dtype}"
    if spec.has_rank:
        assert spec.ndim == value.ndim, f"inferred {spec}, is {value.shape}"
        known = [isinstance(a, Unknown) or a == b for a, b in zip(spec.shape, value.shape, strict=True)]
        assert all(known), f"inferred {spec}, is {value.shape}"


@over([s for s in DIFFERENTIABLE if not s.before])
def test_gradient(sample: Sample, root: Path) -> None:
    """The gradient agrees with finite differences in float64."""
    check_sample(sample, root)


@over([s for s in DIFFERENTIABLE if golden.is_asked(s)])
def test_gradient_answer(sample: Sample, root: Path) -> None:
    """Gradients of the inputs are those that the real Caffe2 computes with its own gradient operators."""
    answer = recorded(sample)
    theirs = {name: value for name, value in answer.items() if name.startswith("gradient")}
    outputs = run(sample, root)
    try:
        backward = backward_of(sample, outputs)
    except GradientError:
        assert "!gradient_error" in answer or not theirs, "Caffe2 has a gradient here"
        return
    if "!gradient_error" in answer:
        pytest.skip(f"Caffe2 computes no gradient here: {answer['!gradient_error']}")
    mine = run_backward(backward, sample, root, recorded_seeds(backward.op, outputs), feeds_of(sample))
    found: dict[str, np.ndarray] = {}
    for i, name in enumerate(backward.op.input):
        if isinstance(mine.get(name), tuple):
            found[f"gradient{i}/indices"], found[f"gradient{i}/values"] = mine[name]
        elif name in mine:
            found[f"gradient{i}"] = mine[name]
    assert sorted(found) == sorted(theirs)
    for name, value in theirs.items():
        assert_same(found[name], value, name, sample.tolerance)


@over_devices(DIFFERENTIABLE, CUDA_KINDS)
def test_gradient_on_cuda(sample: Sample, device: str, root: Path) -> None:
    """Gradients computed on CUDA are those of the CPU."""
    outputs = run(sample, root)
    found = {}
    for where in ("cpu", device):
        backward = backward_with_kernels(sample, outputs, where)
        seeds = recorded_seeds(backward.op, outputs)
        found[where] = run_backward(backward, sample, root, seeds, feeds_of(sample), where)
    for name, expected in found["cpu"].items():
        for actual, part in zip(parts(found[device][name]), parts(expected), strict=True):
            assert_same(actual, part, name, sample.tolerance, CUDA_TOLERANCES)


def parts(gradient: Any) -> tuple[Any, ...]:
    """The one array of a dense gradient, indices and values of a sparse one."""
    return gradient if isinstance(gradient, tuple) else (gradient,)


def backward_with_kernels(sample: Sample, outputs: list[Any], device: str) -> Any:
    try:
        backward = backward_of(sample, outputs, device)
    except GradientError as error:
        pytest.skip(str(error))
    missing = sorted({op.type for op in backward.net.op if not hasattr(registry.get(op.type), f"run_{device}")})
    if missing:
        pytest.skip(f"no {device} kernel: {', '.join(missing)}")
    return backward


@over_devices(STEADY, CUDA_KINDS)
def test_devices_agree(sample: Sample, device: str, root: Path) -> None:
    assert_like(sample, run(sample, root, device), run(sample, root), "cuda")


WITH_ENGINE = [(s, engine) for s in STEADY if not s.engine for engine in registry.get(s.op).engines]


@pytest.mark.parametrize(("sample", "engine"), WITH_ENGINE, ids=[f"{s.id}-{engine}" for s, engine in WITH_ENGINE])
def test_engines_agree(sample: Sample, engine: str, root: Path) -> None:
    """Another engine of an operator answers as the default one does."""
    op = definition(sample).replace(engine=engine)
    try:
        registry.create(op)
    except UnknownOperator as error:
        pytest.skip(str(error))
    assert_like(sample, run(sample, root, op=op), run(sample, root))


@over(few(STEADY))
def test_strided_inputs(sample: Sample, root: Path) -> None:
    op = definition(sample)
    workspace = prepared(sample, root, feeds={name: strided(value) for name, value in feeds_of(sample).items()})
    workspace.run(op)
    assert_like(sample, outputs_of(workspace, op), run(sample, root))


@over_devices([s for s in STEADY if not s.inplace])
def test_in_place(sample: Sample, device: str, root: Path) -> None:
    """Every in-place pair that the schema allows gives what separate blobs give."""
    expected = run(sample, root, device)
    for i, o in shared_pairs(sample, expected):
        op = definition(sample, device, inplace={o: i})
        assert_like(sample, run(sample, root, device, op), expected, what=f"output {o} in place of input {i}: ")


def shared_pairs(sample: Sample, outputs: list[Any]) -> Iterator[tuple[int, int]]:
    schema = registry.get(sample.op).schema_of()
    for i, value in enumerate(sample.inputs):
        for o, output in enumerate(outputs):
            alike = (
                is_tensor(output) and is_tensor(value) and (output.shape, output.dtype) == (value.shape, value.dtype)
            )
            if alike and schema.may_share(i, o) and not schema.must_share(i, o):
                yield i, o


@over_devices(STEADY)
def test_run_again(sample: Sample, device: str, root: Path) -> None:
    """A net that ran before, whose output buffers hold garbage or were made for other shapes, answers the same."""
    op = definition(sample, device)
    workspace = prepared(sample, root, device)
    net = workspace.create(net_of(op))
    net.run()
    expected = outputs_of(workspace, op)
    for other in [sample, sample, *relatives(sample), sample]:
        feed(workspace, feeds_of(other), device)
        poison(workspace, {name for name in op.output if name not in op.input})
        net.run()
        wanted = (
            expected if other is sample else run(other, root, device, definition(other, device, inplace=sample.inplace))
        )
        assert_like(sample, outputs_of(workspace, op), wanted, what=f"after running {other.id}: ")


def relatives(sample: Sample) -> list[Sample]:
    """Other samples that the same bound operator can run."""
    return [
        other
        for other in STEADY
        if other is not sample
        and other.op == sample.op
        and (other.engine, repr(other.args)) == (sample.engine, repr(sample.args))
        and (other.input_names, other.outputs, other.inplace) == (sample.input_names, sample.outputs, sample.inplace)
        and not any(isinstance(value, Blob) for value in other.inputs)
    ][:3]


@over_devices(few([s for s in STEADY if not s.inplace]))
def test_zero_size(sample: Sample, device: str, root: Path) -> None:
    """With an empty dim an operator answers in the inferred shapes, or says what is wrong."""
    op = definition(sample, device)
    for symbol, feeds in zero_sized(sample):
        workspace = prepared(sample, root, device, feeds)
        try:
            workspace.run(op)
        except OperatorError as error:
            refused = error.__cause__
        else:
            refused = None
        if refused is not None:
            assert isinstance(refused, CLEAN), f"{symbol} = 0: {refused!r}"
            continue
        specs = registry.create(definition(sample)).infer_specs([spec_of(feeds[name]) for name in op.input])
        for spec, value in zip(specs, outputs_of(workspace, op), strict=True):
            if is_tensor(value):
                assert_fits(spec, value)


@over(few(STEADY))
def test_wire_round_trip(sample: Sample, root: Path) -> None:
    """The definition survives being written and read, and the operator read back answers the same."""
    op = definition(sample)
    again = decode(encode(op), OperatorDef)
    assert again == op or encode(again) == encode(op)
    assert_like(sample, run(sample, root, op=again), run(sample, root))


@over(FIRST)
def test_unknown_argument(sample: Sample, root: Path) -> None:
    """An argument that nobody declared is refused when a net is built, and warned of when one is loaded."""
    op = definition(sample, args={**sample.args, "no_such_argument": 1})
    workspace = prepared(sample, root)
    with pytest.raises(SchemaError, match="has no argument 'no_such_argument'"):
        registry.create(op, strict=True)
    with pytest.warns(UserWarning, match="has no argument 'no_such_argument'"):
        workspace.run(op)
