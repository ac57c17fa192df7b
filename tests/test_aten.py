"""The table of functions of ATen: the operator declares its attributes, the samples call all of it."""

from __future__ import annotations

from caffe2ops.ops.aten.aten import ATen
from caffe2ops.ops.aten.functions import FUNCTIONS
from tests.samples.aten import samples


def test_attributes_are_arguments() -> None:
    """The attributes of all functions, and no others, are arguments of the operator."""
    wanted = {name.rstrip("=") for several in FUNCTIONS.values() for one in several for name in one.line.split()[2:]}
    assert set(ATen.arg_specs) == wanted | {"operator"}


def test_every_line_has_a_sample() -> None:
    """Each configuration of each function is called by a sample that is not refused."""
    called = [
        (sample.args["operator"], len(sample.inputs), set(sample.args) - {"operator"})
        for sample in samples
        if sample.error is None
    ]
    missing = [
        one.line
        for name, several in FUNCTIONS.items()
        for one in several
        if not any(name == operator and one.takes(count, given) for operator, count, given in called)
    ]
    assert not missing


def test_one_line_is_meant() -> None:
    """No sample fits two lines."""
    for sample in samples:
        given = set(sample.args) - {"operator"}
        lines = FUNCTIONS.get(sample.args["operator"], [])
        assert sum(one.takes(len(sample.inputs), given) for one in lines) <= 1, sample
