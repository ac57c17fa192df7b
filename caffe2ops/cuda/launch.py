"""One kernel: its C signature, and a launch that checks every argument against it.

A GPU driver takes the bytes of each argument on trust. Here a wrong count, dtype, layout or device is a TypeError or
ValueError before the launch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .types import DTYPES

_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
_GLOBAL = re.compile(rf'extern\s+"C"\s+__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(([^)]*)\)', re.S)
_NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\b(?:const|__restrict__|__grid_constant__)\b", re.S)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel; `dtype` is None for a type the kernel's source defines itself (a struct)."""

    name: str
    pointer: bool
    dtype: np.dtype[Any] | None


def signatures(code: str, types: Mapping[str, np.dtype[Any]]) -> dict[str, tuple[Parameter, ...]]:
    """Kernel name -> parameters, for each `extern "C" __global__` of a source."""
    return {name: _parameters(text, types) for name, text in _GLOBAL.findall(code)}


def _parameters(text: str, types: Mapping[str, np.dtype[Any]]) -> tuple[Parameter, ...]:
    found = []
    for declaration in filter(None, (part.strip() for part in _NOISE.sub(" ", text).split(","))):
        type_name, name = re.fullmatch(r"(.*?)\s*(\w+)", declaration, re.S).groups()  # type: ignore[union-attr]
        pointer = type_name.endswith("*")
        type_name = " ".join(type_name.rstrip("* ").split())
        found.append(Parameter(name, pointer, types.get(type_name, DTYPES.get(type_name))))
    return tuple(found)


MAX_BLOCKS = 1 << 16  # of a grid-stride launch
_MULTIPROCESSOR_COUNT = 16  # cudaDevAttrMultiProcessorCount


class Kernel:
    """`kernel(grid, block, *arguments, shared=0)`: check, marshal and launch on the current stream.

    Pointer parameters take C-contiguous device arrays of exactly the declared dtype (None is a null pointer); integers
    and floats are passed in the declared C type and must fit it; structs take a NumPy structured scalar. A grid of no
    blocks launches nothing.
    """

    def __init__(self, function: Any, name: str, parameters: tuple[Parameter, ...]) -> None:
        self.function, self.name, self.parameters = function, name, parameters

    def __call__(self, grid: Sequence[int], block: Sequence[int], *arguments: Any, shared: int = 0) -> None:
        if len(arguments) != len(self.parameters):
            names = ", ".join(p.name for p in self.parameters)
            raise TypeError(f"{self.name}: takes {len(self.parameters)} arguments ({names}), got {len(arguments)}")
        device = current_device()
        cells = tuple(self._cell(p, a, device) for p, a in zip(self.parameters, arguments, strict=True))
        if 0 not in grid:
            self.function(tuple(grid), tuple(block), cells, shared_mem=shared)

    def over(self, n: int, *arguments: Any, block: int = 256) -> None:
        """Launch a grid-stride loop over n elements: enough blocks to fill any device, never more than are needed."""
        self((min(-(-n // block), MAX_BLOCKS),), (block,), *arguments)

    def _cell(self, parameter: Parameter, argument: Any, device: int) -> Any:
        if parameter.pointer:
            return self._pointer(parameter, argument, device)
        if parameter.dtype is None:
            if not isinstance(argument, (np.ndarray, np.void)) or argument.size != 1:
                raise TypeError(f"{self.name}: {parameter.name} is a struct, got {type(argument).__name__}")
            return argument
        value = np.asarray(argument).astype(parameter.dtype)[()]
        if parameter.dtype.kind != "f" and value != argument:
            raise ValueError(f"{self.name}: {parameter.name} is {argument}, which {parameter.dtype} cannot hold")
        return value

    def _pointer(self, parameter: Parameter, array: Any, device: int) -> Any:
        import cupy

        if array is None:
            return np.uint64(0)
        name = f"{self.name}: {parameter.name}"
        if not isinstance(array, cupy.ndarray):
            raise TypeError(f"{name} is a {type(array).__name__}, wanted an array on the device")
        if parameter.dtype is not None and array.dtype != parameter.dtype:
            raise TypeError(f"{name} has dtype {array.dtype}, wanted {parameter.dtype}")
        if array.size and not array.flags.c_contiguous:
            raise ValueError(f"{name} is not C-contiguous")
        if array.device.id != device:
            raise ValueError(f"{name} is on device {array.device.id}, the current device is {device}")
        return array


def current_device() -> int:
    """The number of the current CUDA device."""
    import cupy

    return int(cupy.cuda.runtime.getDevice())


def multiprocessors() -> int:
    """How many blocks run side by side at least, on the current device: what a grid of fixed size is a multiple of."""
    import cupy

    return int(cupy.cuda.runtime.deviceGetAttribute(_MULTIPROCESSOR_COUNT, current_device()))


def record(**fields: Any) -> np.ndarray[Any, Any]:
    """A C struct passed by value: device arrays (C-contiguous) become pointers, None a null pointer, NumPy scalars stay
    what they are.
    """
    layout, values = [], []
    for name, value in fields.items():
        if value is None:
            value = np.uint64(0)
        elif not isinstance(value, np.generic):
            if value.size and not value.flags.c_contiguous:
                raise ValueError(f"{name} is not C-contiguous")
            value = np.uint64(value.data.ptr)
        layout.append((name, value.dtype))
        values.append(value)
    return np.array([tuple(values)], np.dtype(layout, align=True))
