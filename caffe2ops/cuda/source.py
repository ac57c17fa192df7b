"""CUDA sources: the text, what it may be compiled for, and the modules compiled from it so far."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .launch import Kernel, current_device, signatures
from .types import prelude

_HEADER = re.compile(r"^// (compiled for|options):\s*(.*)$", re.M)


class Source:
    """A CUDA C++ text. Calling it with its type aliases compiles it for the current device and gives the Module.

    Two comment lines of the text are read: `// compiled for: T = float32, float64; I = int32` lists the dtypes that
    each alias may stand for, `// options: --device-int128` adds options for the compiler.
    """

    def __init__(self, code: str, name: str) -> None:
        self.code, self.name = code, name
        header = dict(_HEADER.findall(code))
        self.options = ("-std=c++17", *header.get("options", "").split())
        self.dtypes: dict[str, list[np.dtype[Any]]] = {}
        for clause in filter(None, (c.strip() for c in header.get("compiled for", "").split(";"))):
            alias, _, names = clause.partition("=")
            self.dtypes[alias.strip()] = [np.dtype(n.strip()) for n in names.split(",")]
        self._modules: dict[tuple[Any, ...], Module] = {}

    @classmethod
    def beside(cls, python_file: str) -> Source:
        """The `.cu` of the same stem beside a Python file (its stem less a trailing `_cuda`)."""
        path = Path(python_file)
        path = path.with_name(path.stem.removesuffix("_cuda") + ".cu")
        return cls(path.read_text(encoding="utf-8"), path.name)

    def text(self, **types: DTypeLike) -> str:
        """What the compiler is given: the prelude with the aliases, then the code."""
        if types.keys() != self.dtypes.keys():
            raise TypeError(f"{self.name}: wanted the types {sorted(self.dtypes)}, got {sorted(types)}")
        for alias, dtype in types.items():
            if np.dtype(dtype) not in self.dtypes[alias]:
                names = ", ".join(str(d) for d in self.dtypes[alias])
                raise TypeError(f"{self.name}: {alias} is {np.dtype(dtype)}, wanted one of {names}")
        return prelude(types) + self.code

    def variants(self) -> Iterator[dict[str, np.dtype[Any]]]:
        """Every combination of types that the text may be compiled for."""
        for dtypes in itertools.product(*self.dtypes.values()):
            yield dict(zip(self.dtypes, dtypes, strict=True))

    def __call__(self, **types: DTypeLike) -> Module:
        import cupy

        dtypes = {alias: np.dtype(dtype) for alias, dtype in types.items()}
        key = (cupy, current_device(), *dtypes.items())
        if key not in self._modules:
            self._modules[key] = Module(self, dtypes)
        return self._modules[key]


class Module:
    """A source compiled for the current device and one choice of types; its kernels are attributes."""

    def __init__(self, source: Source, types: dict[str, np.dtype[Any]]) -> None:
        import cupy

        code = source.text(**types)
        self._module = cupy.RawModule(code=code, options=source.options)
        self._signatures = signatures(code, types)
        self._name = source.name

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("_") or name not in self._signatures:
            raise AttributeError(f"{self._name} has no kernel {name}; it has {', '.join(self._signatures)}")
        kernel = Kernel(self._module.get_function(name), name, self._signatures[name])
        setattr(self, name, kernel)
        return kernel
