"""A stand-in for the parts of CuPy that caffe2ops uses: NumPy arrays, and kernels that run in the emulator.

Kept from CuPy: device arrays never mix with numpy.ndarray; asarray and asnumpy copy; indexing and reductions give 0-d
arrays; empty() holds garbage (0xff); scalars reach kernels as raw bytes; only names that CuPy 14.2 has are there.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .build import CompileError
from .launch import Kernel, Module

_NAMES = frozenset(Path(__file__).with_name("cupy_names.txt").read_text().split())


class ndarray(np.ndarray):  # noqa: N801 (CuPy's name)
    """An array "on the device"."""

    __array_priority__ = 100
    on_device = True
    syncs = 0  # copies to the host so far, over all arrays

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kw: Any) -> Any:
        if method != "__call__":
            raise TypeError(f"cupy arrays have no {ufunc.__name__}.{method} of NumPy's")
        if out:
            kw["out"] = _host(tuple(out))
        result = ufunc(*_host(inputs), **kw)
        return out[0] if out and len(out) == 1 else out or _device(result)

    def __array_function__(self, func: Any, kinds: Any, args: Any, kwargs: Any) -> Any:
        if func.__name__ not in _NAMES:
            raise TypeError(f"cupy has no {func.__name__}")
        return _device(func(*_host(args), **_host(kwargs)))

    def __getitem__(self, index: Any) -> Any:
        return _device(_host(self)[_host(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        _host(self)[_host(index)] = _host(value)

    def get(self, *_: Any, **__: Any) -> np.ndarray:
        ndarray.syncs += 1
        return _host(self).copy()

    def set(self, array: np.ndarray, stream: Any = None) -> None:
        _host(self)[...] = array

    def item(self, *args: Any) -> Any:
        ndarray.syncs += 1
        return np.ndarray.item(self, *args)

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __index__(self) -> int:
        return int(self.item())

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self.ctypes.data, mem=self)

    @property
    def device(self) -> Device:
        return Device(0)

    def copy(self, *_: Any, **__: Any) -> Any:
        return _device(np.array(_host(self)))


def _method(name: str) -> Callable[..., Any]:
    def call(self: ndarray, *args: Any, **kw: Any) -> Any:
        return _device(getattr(_host(self), name)(*_host(args), **_host(kw)))

    return call


_METHODS = "all any argmax argmin argsort astype cumsum dot max mean min nonzero prod repeat sum take"
for _name in _METHODS.split():
    setattr(ndarray, _name, _method(_name))


def _device(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_device(v) for v in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(ndarray)
    return value


def _host(value: Any) -> Any:
    """The NumPy arrays behind device arrays; a NumPy array among them is refused, as CuPy does."""
    if isinstance(value, ndarray):
        return np.ndarray.view(value, np.ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(_host(v) for v in value)
    if isinstance(value, dict):
        return {key: _host(v) for key, v in value.items()}
    if type(value) is np.ndarray and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value


def empty(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    array = np.empty(shape, dtype)
    if array.size:
        array.reshape(-1).view(np.uint8).fill(0xFF)
    return array.view(ndarray)


def empty_like(a: Any, dtype: Any = None) -> Any:
    return empty(a.shape, dtype or a.dtype)


def array(a: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> Any:
    return np.array(np.asarray(a), dtype=dtype).view(ndarray)


def asarray(a: Any, dtype: Any = None, order: Any = None) -> Any:
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    return np.array(a, dtype=dtype, order="C").view(ndarray)


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    return np.ascontiguousarray(_host(asarray(a, dtype))).view(ndarray)


def asnumpy(a: Any, *_: Any, **__: Any) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


class RawModule:
    def __init__(
        self, *, code: str, options: tuple[str, ...] = (), backend: str = "nvrtc",
        name_expressions: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(options, tuple):
            raise TypeError("options must be a tuple")
        self.code, self.options, self.name_expressions = code, options, name_expressions
        self._built: Module | None = None

    def compile(self, log_stream: Any = None) -> None:
        self._built = self._built or Module(self.code, self.options, self.name_expressions)

    def get_function(self, name: str) -> RawKernel:
        self.compile()
        assert self._built is not None
        return RawKernel(kernel=self._built.get_function(name))


class RawKernel:
    def __init__(
        self, code: str = "", name: str = "", options: tuple[str, ...] = (), *, kernel: Kernel | None = None
    ) -> None:
        self.kernel = kernel or RawModule(code=code, options=options).get_function(name).kernel
        self.name = self.kernel.name

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], *, shared_mem: int = 0) -> None:
        self.kernel(grid, block, args, shared_mem)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self.kernel.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        self.kernel.max_dynamic_shared_size_bytes = size


class Stream:
    """The one stream: everything has happened when a launch returns."""

    null: Stream
    ptr = 0

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None: ...

    def synchronize(self) -> None: ...

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None: ...


Stream.null = Stream()


class Device:
    """The one device: small, so that persistent grids stay cheap to emulate."""

    compute_capability = "90"
    attributes = {
        "MultiProcessorCount": 2, "MaxSharedMemoryPerBlockOptin": 227 << 10, "MaxSharedMemoryPerBlock": 48 << 10,
        "WarpSize": 32, "MaxThreadsPerBlock": 1024,
    }  # fmt: skip

    def __init__(self, device: int = 0) -> None:
        self.id = device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def synchronize(self) -> None: ...

    def use(self) -> None: ...

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None: ...


cuda = types.SimpleNamespace(
    Stream=Stream,
    Device=Device,
    is_available=lambda: True,
    get_current_stream=lambda: Stream.null,
    runtime=types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        runtimeGetVersion=lambda: 13000,
        getDevice=lambda: 0,
        memGetInfo=lambda: (1 << 31, 1 << 31),
        deviceGetAttribute=lambda attribute, device: {16: Device.attributes["MultiProcessorCount"]}[attribute],
    ),
    compiler=types.SimpleNamespace(CompileException=CompileError),
)
_SAME = "newaxis pi inf nan dtype bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 intp"
globals().update({name: getattr(np, name) for name in _SAME.split()})


def __getattr__(name: str) -> Any:
    """Everything else that CuPy has is NumPy's, with device arrays going in and coming out."""
    if name.startswith("__") or name not in _NAMES:
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    found = getattr(np, name)
    if not callable(found) or isinstance(found, type):
        return found

    def call(*args: Any, **kw: Any) -> Any:
        return _device(found(*_host(args), **_host(kw)))

    call.__name__ = name
    return call
