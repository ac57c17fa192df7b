"""Calling the kernels of a built library, with CuPy's rules for arguments and the checks that CuPy leaves out."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .build import build
from .settings import ORDERS, settings

STATIC_SHARED, OPT_IN_SHARED = 48 << 10, 227 << 10


class KernelError(RuntimeError):
    """A launch that a GPU would refuse, or a fault, divergent barrier or deadlock inside a kernel."""


class Module:
    """A built CUDA source."""

    def __init__(self, code: str, options: Iterable[str] = (), names: Sequence[str] | None = None) -> None:
        self.path, self.names = build(code, options, names)
        self.lib = ctypes.CDLL(str(self.path))
        pointer = ctypes.c_void_p
        self.lib.cuemu_error.restype = ctypes.c_char_p
        self.lib.cuemu_launch.argtypes = [pointer, pointer, pointer, pointer, ctypes.c_size_t, ctypes.c_int]
        self.lib.cuemu_add_shared.argtypes = [pointer, ctypes.c_size_t]
        self.lib.cuemu_options.argtypes = [ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_size_t]
        self.static_shared = self._poison_shared(self.path)

    def _poison_shared(self, path: Path) -> int:
        """Have every `__shared__` variable (a function-local static) filled with 0xff before each block."""
        table = subprocess.run(["nm", "-S", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in table.splitlines()]
        anchor = next(int(row[0], 16) for row in rows if row[-1] == "cuemu_launch")
        base = (ctypes.cast(self.lib.cuemu_launch, ctypes.c_void_p).value or 0) - anchor
        total = 0
        for row in rows:
            if len(row) == 4 and row[2] in "bBdDuV" and row[3].startswith("_ZZ") and "cuemu" not in row[3]:
                self.lib.cuemu_add_shared(base + int(row[0], 16), int(row[1], 16))
                total += int(row[1], 16)
        return total

    def get_function(self, name: str) -> Kernel:
        if name not in self.names:
            raise KernelError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return Kernel(self, name)


class Kernel:
    """One `__global__` function of a Module."""

    def __init__(self, module: Module, name: str) -> None:
        index = module.names.index(name)
        self.module, self.name = module, name
        self.entry = ctypes.cast(getattr(module.lib, f"cuemu_call_{index}"), ctypes.c_void_p)
        describe = getattr(module.lib, f"cuemu_sig_{index}")
        describe.restype = ctypes.c_char_p
        self.signature = [word for word in describe().decode().split(",") if word]
        self.max_dynamic_shared_size_bytes = STATIC_SHARED

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared_mem: int = 0) -> None:
        blocks = [max(1, int(n)) for n in (*grid, 1, 1)[:3]]  # CuPy launches one block for a grid of 0
        threads = [max(1, int(n)) for n in (*block, 1, 1)[:3]]
        if np.prod(threads) > 1024 or threads[2] > 64 or blocks[0] > 2**31 - 1 or max(blocks[1:]) > 65535:
            raise KernelError(f"CUDA_ERROR_INVALID_VALUE: {self.name}: grid {blocks} block {threads}")
        if shared_mem > self.max_dynamic_shared_size_bytes or self.max_dynamic_shared_size_bytes > OPT_IN_SHARED:
            raise KernelError(f"CUDA_ERROR_INVALID_VALUE: {self.name}: {shared_mem} bytes of dynamic shared memory")
        if len(args) != len(self.signature):
            raise KernelError(f"{self.name}: takes {len(self.signature)} arguments {self.signature}, got {len(args)}")
        cells = [self._cell(i, want, arg) for i, (want, arg) in enumerate(zip(self.signature, args, strict=True))]
        pointers = (ctypes.c_void_p * max(1, len(cells)))(*[cell.ctypes.data for cell in cells])
        g, b = np.array(blocks, np.uint32), np.array(threads, np.uint32)
        self.module.lib.cuemu_options(ORDERS[settings.order], settings.seed, 1, 1, settings.stack_bytes)
        trap = 0 if settings.sanitizers else 1
        if self.module.lib.cuemu_launch(self.entry, g.ctypes.data, b.ctypes.data, pointers, shared_mem, trap):
            raise KernelError(f"{self.name}: {self.module.lib.cuemu_error().decode()}")

    def _refuse(self, i: int, why: str) -> NoReturn:
        raise KernelError(f"{self.name}: argument {i}: {why}")

    def _cell(self, i: int, want: str, arg: Any) -> np.ndarray:
        """The bytes of one argument; `want` is the C++ parameter as <kind><size>, with a leading p for a pointer."""
        if arg is None and want[0] == "p":
            arg = np.int64(0)
        if getattr(arg, "on_device", False):
            return self._pointer(i, want, arg)
        if isinstance(arg, bool):
            arg = np.bool_(arg)
        elif isinstance(arg, int):
            arg = np.uint64(arg) if arg >= 1 << 63 else np.int64(arg)
        elif isinstance(arg, float):
            arg = np.float64(arg)
        if isinstance(arg, np.ndarray):
            if arg.size != 1:
                raise TypeError(f"You are trying to pass a numpy.ndarray of shape {arg.shape} as a kernel parameter.")
            arg = np.ascontiguousarray(arg).reshape(1)
        elif isinstance(arg, np.generic):
            arg = np.array([arg])
        else:
            raise TypeError(f"Unsupported type {type(arg)}")
        self._check_scalar(i, want, arg.dtype)
        return arg

    def _pointer(self, i: int, want: str, array: np.ndarray) -> np.ndarray:
        if want[0] != "p":
            self._refuse(i, f"parameter is {want}, got a device array")
        kind, pointee = array.dtype.kind, want[1:]
        same = (
            pointee in ("v0", f"{kind}{array.dtype.itemsize}")
            or pointee[0] in "sp"
            or (pointee[0] in "iu" and kind in "iub" and int(pointee[1:]) == array.dtype.itemsize)
        )
        if not same:
            self._refuse(i, f"pointer to {pointee}, got an array of {array.dtype}")
        if array.size and not array.flags.c_contiguous:
            self._refuse(i, "array is not C-contiguous (a RawKernel ignores strides)")
        return np.array([array.ctypes.data], np.uint64)

    def _check_scalar(self, i: int, want: str, dtype: np.dtype) -> None:
        if want[0] in "ps":
            size = 8 if want[0] == "p" else int(want[1:])
            if dtype.itemsize != size:
                self._refuse(i, f"{size} bytes wanted, got {dtype}")
        elif dtype.itemsize != int(want[1:]) or (dtype.kind == "f") != (want[0] == "f"):
            self._refuse(i, f"parameter is {want}, but CuPy would pass the bytes of {dtype}")
