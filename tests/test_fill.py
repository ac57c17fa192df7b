"""Random fillers: the generator, its seeds, and what goes on from run to run. The numbers named here are Caffe2's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.ops.fill.mt19937 import Generator
from caffe2ops.workspace import Workspace


def run(
    op: str, args: dict[str, Any], runs: int = 1, seed: int | None = 5, workspace: Workspace | None = None
) -> list[np.ndarray]:
    option = None if seed is None else DeviceOption(random_seed=seed)
    net = NetDef(name=f"{op}{seed}", op=(OperatorDef(type=op, output=("Y",), args=args, device_option=option),))
    workspace = workspace or Workspace()
    bound = workspace.create(net, overwrite=True)
    found = []
    for _ in range(runs):
        bound.run()
        found.append(workspace.fetch("Y"))
    return found


def test_the_stream_goes_on_from_run_to_run() -> None:
    first, second = run("UniformFill", {"shape": [6], "min": -2.0, "max": 3.0}, 2)
    assert first.tolist() == np.float32([2.1512594, -1.3694454, 2.5373483, 2.0996351, 2.6005173, -1.4167739]).tolist()
    assert second.tolist() == np.float32([-1.1780424, 1.6895969, -1.8336768, 2.9709234, 1.0321429, 0.8228564]).tolist()


def test_an_odd_normal_is_kept_for_the_next_run() -> None:
    runs = run("GaussianFill", {"shape": [5], "mean": 1.5, "std": 0.3}, 3)
    heads = np.float32([[1.5752587, 1.3636166], [1.4281034, 1.7515311], [1.1964656, 1.26016]])
    assert np.array_equal(np.stack(runs)[:, :2], heads)
    assert np.array_equal(np.concatenate(runs), run("GaussianFill", {"shape": [15], "mean": 1.5, "std": 0.3})[0])


@pytest.mark.parametrize("op", ["UniformFill", "GaussianFill", "XavierFill"])
def test_the_seed_of_the_workspace(op: str) -> None:
    args = {"shape": [4, 3]}
    workspace, again = Workspace(seed=3), Workspace(seed=3)
    first, second = (run(op, args, seed=None, workspace=workspace)[0] for _ in range(2))
    assert np.array_equal(run(op, args, seed=None, workspace=again)[0], first)
    assert not np.array_equal(first, second)
    assert not np.array_equal(run(op, args, seed=None)[0], run(op, args, seed=None)[0])


def test_no_run_leaves_its_buffer_to_the_next() -> None:
    workspace = Workspace()
    run("UniformFill", {"shape": [3]}, 2, workspace=workspace)
    held = workspace.fetch("Y")
    run("UniformFill", {"shape": [3]}, seed=6, workspace=workspace)
    assert not np.array_equal(held, workspace.fetch("Y"))


def test_bernoulli_compares_53_bits() -> None:
    generator, words = (
        Generator(7),
        np.random.RandomState(7).randint(0, 1 << 32, (1000, 2), np.uint32).astype(np.uint64),
    )
    numbers = ((words[:, 0] << np.uint64(32) | words[:, 1]) & np.uint64(2**53 - 1)) / 2.0**53
    assert np.array_equal(generator.bernoulli(1000, 0.3), numbers < 0.3)


def test_unique_integers_leave_the_stream_where_caffe2_does() -> None:
    """One word for each number tried, none beyond the last accepted."""
    generator, plain = Generator(11), Generator(11)
    found = generator.unique_integers(60, 0, 60, avoid=np.int32([7]))
    assert sorted(found.tolist()) == [i for i in range(61) if i != 7]
    tried, seen = 0, {7}
    while len(seen) <= 60:
        seen.add(int(plain.integers(1, 0, 60)[0]))
        tried += 1
    assert np.array_equal(plain.uniform(5), generator.uniform(5))
    assert tried > 60


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_counts(count: int) -> None:
    generator = Generator(1)
    for drawn in (generator.uniform(count), generator.normal(count), generator.bernoulli(count, 0.5)):
        assert drawn.shape == (count,)
    assert generator.integers(count, 0, 9).shape == generator.unique_integers(count, 0, 9).shape == (count,)


def test_a_seed_out_of_range() -> None:
    with pytest.raises(ValueError, match="random_seed: -1"):
        Generator(-1)
