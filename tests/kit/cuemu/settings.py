"""What the environment says about the emulator, in one object that tests may change."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ORDERS = {"forward": 0, "reverse": 1, "random": 2}


def _cache() -> Path:
    folder = os.environ.get("CUEMU_CACHE")
    return Path(folder) if folder else Path(tempfile.gettempdir()) / f"caffe2ops-cuemu-{os.getuid()}"


@dataclass
class Settings:
    """`order` and `seed` count at each launch, the rest at the next build."""

    order: str = field(default_factory=lambda: os.environ.get("CUEMU_ORDER", "forward"))
    seed: int = field(default_factory=lambda: int(os.environ.get("CUEMU_SEED", "1")))
    sanitizers: str = field(default_factory=lambda: os.environ.get("CUEMU_SAN", ""))
    compiler: str = field(default_factory=lambda: os.environ.get("CUEMU_CXX", "g++"))
    optimize: str = field(default_factory=lambda: os.environ.get("CUEMU_OPT", "-O1"))
    cache: Path = field(default_factory=_cache)

    @property
    def stack_bytes(self) -> int:
        return 256 << 10 if self.sanitizers else 64 << 10


settings = Settings()
