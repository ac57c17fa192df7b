"""Every registered operator agrees with Caffe2's schema and gradient definition, and is documented."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

from caffe2ops import registry
from caffe2ops.args import COMMON_ARGS
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError, SchemaError
from caffe2ops.gradient_rules import GradientSlice, gradient_of, parse_line
from caffe2ops.operator import NonGradient
from tests.kit import facts
from tests.kit.debts import DEBTS

# Where caffe2ops means to differ: {(operator, what): reason}; `what` is the first word of a message of `compare`.
# An entry that no longer differs fails.
INTENDED: dict[tuple[str, str], str] = {
    ("Int8FC", "counts"): "Caffe2's operator leaves its further outputs unwritten",
    ("SoftmaxWithLoss", "counts"): "Caffe2's CPU operator leaves its third output unwritten",
    ("BatchBucketize", "input names"): "documented in another order than the kernel reads them",
    ("UnsafeCoalesce", "in place"): "the pair (7, 7) takes nine outputs, more than were recorded",
    ("Slice", "counts"): "starts and ends come together: given one alone, Caffe2 reads an input that is not there",
}

TYPES = registry.types()


def over(types: Iterable[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("op_type", sorted(types))


def compare(op_type: str, what: str, mine: Any, theirs: Any) -> None:
    """Equal, or listed as an intended difference and then not equal."""
    if (op_type, what) in INTENDED:
        assert mine != theirs, f"INTENDED lists {what} of {op_type}, which do not differ"
    else:
        assert mine == theirs, f"{what} of {op_type}: here {mine}, in Caffe2 {theirs}"


def schema(op_type: str) -> Any:
    return registry.get(op_type).schema_of()


def blank(op_type: str, inputs: int, outputs: int) -> OperatorDef:
    """An operator of so many blobs, in place where that is enforced."""
    names = [f"out{i}" for i in range(outputs)]
    for i, o in product(range(inputs), range(outputs)):
        if schema(op_type).must_share(i, o):
            names[o] = f"in{i}"
    return OperatorDef(type=op_type, input=[f"in{i}" for i in range(inputs)], output=names)


def accepts(op_type: str, op: OperatorDef) -> bool:
    try:
        schema(op_type).verify(op)
    except SchemaError:
        return False
    return True


CAFFE2_TYPES = [name for name in TYPES if isinstance(facts.SCHEMAS.get(name), dict)]


@over(TYPES)
def test_extensions_are_marked(op_type: str) -> None:
    """Operators that Caffe2 does not have say so."""
    if facts.OPERATORS or op_type in facts.SCHEMAS:
        assert schema(op_type).extension == (op_type not in facts.SCHEMAS and op_type not in facts.OPERATORS)


@over(CAFFE2_TYPES)
def test_counts(op_type: str) -> None:
    """As many inputs and outputs are allowed as in Caffe2 where it limits them; gradient operators may allow fewer."""
    known, sides = facts.SCHEMAS[op_type], facts.limited_sides(op_type)
    theirs = known.get("pairs", [(i, o) for i in known["inputs"] for o in known["outputs"]])
    tried = [(i, o) for i in range(facts.MOST + 1) for o in range(facts.MOST + 1)]
    mine = [pair for pair in tried if accepts(op_type, blank(op_type, *pair))]
    here, there = ({tuple(pair[side] for side in sides) for pair in pairs} for pairs in (mine, theirs))
    if op_type.endswith("Gradient"):
        there &= here
    compare(op_type, "counts", sorted(here), sorted(there))


@over(CAFFE2_TYPES)
def test_in_place_pairs(op_type: str) -> None:
    """Outputs may and must share a blob with inputs as in Caffe2, as far as the counts reach."""
    known, mine = facts.SCHEMAS[op_type], schema(op_type)
    pairs = [(i, o) for i in range(max(known["inputs"], default=0)) for o in range(max(known["outputs"], default=0))]
    pairs = [(i, o) for i, o in pairs if max(i, o) < facts.MOST]
    enforced = [pair for pair in pairs if mine.must_share(*pair)]
    compare(op_type, "enforced", enforced, [pair for pair in pairs if list(pair) in known["inplace_enforced"]])
    allowed = [pair for pair in pairs if mine.may_share(*pair) and pair not in enforced]
    compare(op_type, "in place", allowed, [pair for pair in pairs if list(pair) in known["inplace"]])


@over(name for name in set(TYPES) & set(facts.OPERATORS) if facts.OPERATORS[name].get("schema", True))
def test_names(op_type: str) -> None:
    """Inputs, outputs and arguments that Caffe2 names have these names; blobs of gradient operators may differ."""
    known, mine = facts.OPERATORS[op_type], schema(op_type)
    for side, ports in (("input", mine.inputs), ("output", mine.outputs)):
        theirs = [(name or "").removesuffix(" (optional)") for name in known[f"{side}_names"]]
        usable = len(theirs) == len(set(theirs)) and all(map(str.isidentifier, theirs))
        if usable and not op_type.endswith("Gradient") and not any(port.variadic for port in ports):
            compare(op_type, f"{side} names", [port.name for port in ports][: len(theirs)], theirs[: len(ports)])
    theirs = {arg["name"].removesuffix(" (optional)") for arg in known["args"]}
    missing = theirs - {arg.name for arg in mine.args} - COMMON_ARGS
    compare(op_type, "arguments", sorted(missing), [])


@over(set(TYPES) & set(facts.GRADIENTS))
def test_gradient_definition(op_type: str) -> None:
    """The generated gradient operators are Caffe2's, at every number of inputs and outputs that was recorded."""
    cases = facts.GRADIENTS[op_type]
    theirs = [([{**op, "args": sorted(op["args"])} for op in case["grad_ops"]], case["input_grads"]) for case in cases]
    compare(op_type, "gradient", [made_gradient(op_type, case) for case in cases], theirs)


def made_gradient(op_type: str, case: Any) -> Any:
    inputs, outputs = (
        [f"{side}{i}" for i in range(case[f"num_{name}"])] for side, name in (("I", "inputs"), ("O", "outputs"))
    )
    op = OperatorDef(type=op_type, input=inputs, output=outputs)
    try:
        ops, gradients = gradient_of(op, [f"GO{i}" for i in range(case["num_outputs"])])
    except GradientError as error:
        return str(error)
    described = [
        {"args": sorted(made.args), "input": list(made.input), "output": list(made.output), "type": made.type}
        for made in ops
    ]
    return described, [plain(gradient) for gradient in gradients]


@over(name for name in set(CAFFE2_TYPES) & set(facts.GRADIENTS) if "gradient_copies_arguments" in facts.SCHEMAS[name])
def test_gradient_arguments(op_type: str) -> None:
    """Gradient operators get the arguments of the forward operator where Caffe2 hands them on."""
    case = max(facts.GRADIENTS[op_type], key=lambda case: len(case["grad_ops"]))
    op = blank(op_type, case["num_inputs"], case["num_outputs"]).replace(args={"marker": 1})
    ops, _ = gradient_of(op, [f"GO{i}" for i in range(case["num_outputs"])])
    mine = any("marker" in made.args for made in ops)
    compare(op_type, "arguments of the gradient", mine, facts.SCHEMAS[op_type]["gradient_copies_arguments"])


def plain(gradient: Any) -> Any:
    if isinstance(gradient, GradientSlice):
        return {"indices": gradient.indices, "values": gradient.values}
    return None if gradient is None else {"dense": gradient}


@over(name for name in TYPES if facts.kind_of_gradient(name) and (name, "gradient") not in DEBTS)
def test_kind_of_gradient(op_type: str) -> None:
    """Having a gradient, having none, forbidding it and not registering one are told apart as in Caffe2."""
    cls = registry.get(op_type)
    if isinstance(cls.gradient, NonGradient):
        mine = cls.gradient.name
    else:
        mine = "some" if isinstance(cls.gradient, str) or hasattr(cls, "make_gradient") else "unregistered"
    compare(op_type, "kind of gradient", mine, facts.kind_of_gradient(op_type))


@over(name for name in TYPES if isinstance(registry.get(name).gradient, str) and (name, "gradient") not in DEBTS)
def test_gradient_operators_exist(op_type: str) -> None:
    """The operators that a gradient line names are registered."""
    line = registry.get(op_type).gradient
    assert isinstance(line, str)
    missing = {call.type for call in parse_line(line) if hasattr(call, "type")} - set(TYPES)
    assert not missing, f"not registered: {', '.join(sorted(missing))}"


@over(TYPES)
def test_documented(op_type: str) -> None:
    """An operator says what it does and what each input, output and argument is; a gradient operator, what it does."""
    found = schema(op_type)
    missing = [] if found.doc.strip() else ["the operator itself"]
    if not op_type.endswith("Gradient"):
        missing += [port.name for port in (*found.inputs, *found.outputs) if not port.doc.strip()]
    missing += [arg.name for arg in found.args if not arg.doc.strip()]
    assert not missing, f"{op_type} ({found.source}) does not document {', '.join(missing)}"


def test_intended_differences_exist() -> None:
    """The table lists operators that are there, with reasons."""
    assert all(name in TYPES and len(reason) > 10 for (name, _), reason in INTENDED.items())
