"""`emulated_cuda`: a pytest fixture that makes `import cupy` give the emulated device."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from .settings import settings


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Within the block `cupy` is the stand-in; afterwards whatever was there before, and kernels are loaded anew."""
    from . import fakecupy

    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "cupy"}
    sys.modules["cupy"] = fakecupy
    try:
        yield fakecupy
    finally:
        del sys.modules["cupy"]
        sys.modules.update(before)


def missing() -> str | None:
    """Why the emulator cannot run here, or None."""
    absent = [tool for tool in (settings.compiler, "nm") if shutil.which(tool) is None]
    return f"the CUDA emulator needs {' and '.join(absent)} on the PATH" if absent else None


@pytest.fixture
def emulated_cuda() -> Iterator[ModuleType]:
    """The stand-in for cupy, installed in sys.modules for the length of one test.

    Use it as a test would use cupy: `emulated_cuda.asarray(x)` puts an array on the emulated device, and
    `emulated_cuda.asnumpy(y)` fetches it; an operator's `run_cuda` between them runs as on a GPU. tests/conftest.py
    makes the fixture known to all tests; without pytest, `with installed() as cupy:` does the same. The order in which
    threads run is `tests.kit.cuemu.settings.settings.order` (monkeypatch it). Without g++ the test is skipped, in CI it
    fails.
    """
    why = missing()
    if why and os.environ.get("CI"):
        pytest.fail(why)
    if why:
        pytest.skip(why)
    with installed() as cupy:
        yield cupy
