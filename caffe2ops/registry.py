"""The registry: operator classes by (type, device, engine), found by walking ops/ and by plug-ins, on first use."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import DeviceOption, DeviceType, OperatorDef
from caffe2ops.errors import UnknownOperator, did_you_mean

if TYPE_CHECKING:
    from caffe2ops.operator import Operator
    from caffe2ops.workspace import Blob, Workspace

ENTRY_POINTS = "caffe2ops.operators"
DEVICES: dict[int, str] = {DeviceType.CPU: "cpu", DeviceType.CUDA: "cuda"}
_classes: dict[tuple[str, str], type[Operator]] = {}  # (type, engine) -> class
_loaded = False


def register(cls: type[Operator]) -> None:
    """Takes a class into the registry. Raises ValueError where its type and engine are taken, naming both places."""
    key = (cls.type, cls.engine)
    old = _classes.get(key)
    if old is not None and str(old.declared) != str(cls.declared):
        engine = f" (engine {cls.engine})" if cls.engine else ""
        raise ValueError(f"operator {cls.type}{engine} is declared at {old.declared} and again at {cls.declared}")
    _classes[key] = cls


def unregister(type_name: str, engine: str = "") -> None:
    """Takes an operator out again; for plug-ins that replace one, and for tests."""
    _classes.pop((type_name, engine), None)


def load_all() -> None:
    """Imports every module of ops/ and every plug-in, once. One that does not import is left out with a warning."""
    global _loaded
    if _loaded:
        return
    from caffe2ops import ops

    for module in pkgutil.walk_packages(ops.__path__, ops.__name__ + "."):
        if not module.name.endswith(("_numba", "_torch")):  # engines: imported when asked for
            importlib.import_module(module.name)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            warnings.warn(
                f"plug-in {entry.name} ({entry.value}) was left out: {type(error).__name__}: {error}", stacklevel=2
            )
    _loaded = True


def types() -> list[str]:
    """All registered operator types, sorted."""
    load_all()
    return sorted(type_name for type_name, engine in _classes if not engine)


def classes() -> Iterator[type[Operator]]:
    """The default class of every operator type, by type."""
    for type_name in types():
        yield _classes[type_name, ""]


def get(type_name: str) -> type[Operator]:
    """The default class of an operator type. Raises UnknownOperator with near names."""
    found = _classes.get((type_name, ""))
    if found is None:
        load_all()
        found = _classes.get((type_name, ""))
    if found is None:
        known = [name for name, _ in _classes]
        raise UnknownOperator(f"no operator of type {type_name!r} is registered{did_you_mean(type_name, known)}")
    return found


def lookup(type_name: str, device: str = "cpu", engines: Sequence[str] = ()) -> type[Operator]:
    """The class that runs a type on a device: of the first engine that has one, else of the default engine."""
    default = get(type_name)
    for engine in engines:
        if engine in default.engines and (type_name, engine) not in _classes:
            try:
                importlib.import_module(default.engines[engine])
            except ImportError as error:
                raise UnknownOperator(
                    f"{type_name}: engine {engine} needs a package that is not here: {error}"
                ) from error
        found = _classes.get((type_name, engine))
        if found is not None and hasattr(found, f"run_{device}"):
            return found
    if not hasattr(default, f"run_{device}"):
        has = " and ".join(d for d in DEVICES.values() if hasattr(default, f"run_{d}")) or "none"
        raise UnknownOperator(f"{type_name} has no {device} kernel (it has {has}); declared at {default.declared}")
    return default


def create(
    op_def: OperatorDef,
    workspace: Workspace | None = None,
    inputs: Sequence[Blob] = (),
    outputs: Sequence[Blob] = (),
    *,
    device_option: DeviceOption | None = None,
    preferences: Mapping[str, Sequence[str]] | None = None,
    strict: bool = False,
) -> Operator:
    """An instance for a definition, on the device it names (else `device_option`, else the CPU).

    Engines are tried in Caffe2's order: the definition's (comma separated), those preferred for the type in
    `preferences`, those preferred for all under "*". Raises SchemaError (UnknownOperator is one).
    """
    if op_def.device_option is None and device_option is not None:
        op_def = op_def.replace(device_option=device_option)
    option = op_def.device_option or DeviceOption()
    device = DEVICES.get(option.device_type)
    if device is None:
        wanted = " and ".join(f"{kind} ({name})" for kind, name in DEVICES.items())
        raise UnknownOperator(f"{op_def.type}: device type {option.device_type} is not supported, there are {wanted}")
    engines = [engine for engine in op_def.engine.split(",") if engine]
    for key in (op_def.type, "*"):
        engines += (preferences or {}).get(key, ())
    cls = lookup(op_def.type, device, engines)
    return cls(op_def, workspace, inputs, outputs, device=device, strict=strict)


def array_module(device: str) -> Any:
    """numpy, or cupy for device "cuda"."""
    if device == "cpu":
        return np
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        raise ImportError(
            "the device cuda wants the package cupy: pip install 'caffe2ops[cuda12x]' or 'caffe2ops[cuda13x]'; the "
            "CPU runs the net with device=DeviceOption(), on the command line with --device cpu"
        ) from error


def array_type(device: str) -> type:
    """The array class of a device."""
    array: type = np.ndarray if device == "cpu" else array_module(device).ndarray
    return array


def relative(file: str) -> str:
    """A source file as shown to users: from the package's folder on."""
    root = Path(__file__).parent.parent
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
