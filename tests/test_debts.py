"""Samples, golden answers and debts are complete and tidy."""

from __future__ import annotations

from collections import Counter

import numpy as np

from caffe2ops import registry
from tests.kit import debts, facts, golden
from tests.kit.call import has_gradient
from tests.kit.sample import Sample, collect

TYPES = set(registry.types())


def test_nothing_is_missing_unsaid() -> None:
    """Every operator has a sample, a gradient if Caffe2 has one, and a CUDA kernel, or stands in debts.toml."""
    unsaid = debts.missing() - set(debts.DEBTS)
    lists = {what: sorted(name for name, other in unsaid if other == what) for what in debts.WHAT}
    assert not unsaid, "\n".join(
        f"no {what}, and not in debts.toml: {' '.join(names)}" for what, names in lists.items() if names
    )


def test_debts_are_unpaid() -> None:
    """What debts.toml lists is still missing."""
    checked = {key for key in debts.DEBTS if key[1] != "gradient" or facts.OPERATORS}
    paid = sorted(checked - debts.missing())
    assert not paid, f"paid, take them off debts.toml: {', '.join(f'{name} ({what})' for name, what in paid)}"


def test_debts_have_reasons() -> None:
    for debt in debts.ENTRIES:
        assert set(debt) == {"what", "reason", "operators"}
        assert debt["what"] in debts.WHAT
        assert len(debt["reason"]) > 10
    listed = Counter((name, debt["what"]) for debt in debts.ENTRIES for name in debt["operators"])
    assert [key for key, count in listed.items() if count > 1] == []


def test_samples_are_of_registered_operators() -> None:
    unknown = sorted({sample.op for sample in collect()} - TYPES)
    assert not unknown, f"samples of operators that are not registered: {', '.join(unknown)}"


def test_samples_have_distinct_ids() -> None:
    assert [name for name, count in Counter(sample.id for sample in collect()).items() if count > 1] == []


def test_samples_without_golden_answer_say_why() -> None:
    """golden=False, an own tolerance and differentiable=False want a reason, unless it is plain to see."""
    unsaid = []
    for sample in collect():
        extension = sample.op in TYPES and registry.get(sample.op).extension
        undifferentiated = not sample.differentiable and not is_plainly_undifferentiable(sample)
        if sample.tolerance is not None or undifferentiated or not (sample.golden or extension):
            unsaid += [sample.id] if not sample.reason else []
    assert not unsaid, f"no reason given: {', '.join(unsaid)}"


def is_plainly_undifferentiable(sample: Sample) -> bool:
    """Whether the inputs or the operator say why: refused, no gradient, nothing there, not finite, not of floats."""
    floats = [x for x in sample.inputs if isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64)]
    return (
        sample.error is not None
        or (sample.op in TYPES and not has_gradient(sample))
        or not floats
        or any(x.size == 0 or not np.isfinite(x).all() for x in floats)
    )


def test_golden_answers_have_samples() -> None:
    """No answer is kept that no sample asks for."""
    families = {sample.family for sample in collect()}
    assert [path.name for path in golden.FOLDER.glob("*.npz") if path.stem not in families] == []
    for family in families:
        samples = [sample for sample in collect() if sample.family == family and sample.op in TYPES]
        extra = set(golden.load(family)) - {golden.digest(sample) for sample in samples if golden.is_asked(sample)}
        assert not extra, (
            f"{family}.npz answers {len(extra)} cases nobody asks; {golden.RERECORD.format(family=family)}"
        )


def test_golden_answers_are_small() -> None:
    large = [path.name for path in golden.FOLDER.glob("*.npz") if path.stat().st_size > golden.SIZE_LIMIT]
    assert large == [], "take smaller samples"
