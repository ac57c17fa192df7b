"""Fixtures for all tests: material outside the checkout, and devices."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.kit import shared as shared_material
from tests.kit.cuemu.fixture import emulated_cuda

__all__ = ["emulated_cuda"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material; tests that want it are skipped where it is absent."""
    if not shared_material.FOLDER.is_dir():
        pytest.skip(shared_material.REASON)
    return shared_material.FOLDER


_roots = itertools.count()


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own, as tmp_path is; several times cheaper, which counts for thousands of small tests."""
    folder = tmp_path_factory.getbasetemp() / f"root{next(_roots)}"
    folder.mkdir()
    return folder


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """The device that a test of the matrix runs on; the parameter is one of tests.kit.devices.KINDS."""
    if request.param == "emulated":
        request.getfixturevalue("emulated_cuda")
    return "cpu" if request.param == "cpu" else "cuda"
