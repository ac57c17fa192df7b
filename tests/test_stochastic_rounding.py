"""FloatToFusedRandRowwiseQuantized: what chance decides."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops import DeviceOption, OperatorDef, Workspace


def coded(x: np.ndarray, seed: int | None, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The coded rows and what they stand for."""
    workspace = Workspace()
    workspace.feed("x", x)
    option = None if seed is None else DeviceOption(random_seed=seed)
    how = {"type": "FloatToFusedRandRowwiseQuantized", "args": {"bitwidth": bits}, "device_option": option}
    workspace.run(OperatorDef(input="x", output="y", **how))
    workspace.run(OperatorDef(type="FusedRandRowwiseQuantizedToFloat", input="y", output="z"))
    return workspace.fetch("y"), workspace.fetch("z")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_unbiased_and_near(bits: int) -> None:
    """Each answer is one of the two nearest levels, and their mean is the element."""
    x = np.tile(np.float32([-1, -0.7, 0.1, 0.32, 0.9, 2]), (20_000, 1))
    _, found = coded(x, 3, bits)
    gap = 3 / (2**bits - 1)
    assert np.abs(found - x).max() < gap * 1.001
    np.testing.assert_allclose(found.mean(axis=0), x[0], atol=0.02 * gap)


def test_seed() -> None:
    """A random seed fixes the answer; another gives another one."""
    x = np.random.default_rng(0).random((5, 40), np.float32)
    first, again, other = (coded(x, seed, 2)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
