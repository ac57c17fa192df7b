"""Workspaces by name, one of them current; what the original keeps in one global."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import Workspace as EngineWorkspace
from caffe2ops.compat.extension.blobs import Blob
from caffe2ops.compat.extension.definitions import net_of, one_operator, plan_of, text
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.defs import dtype_of
from caffe2ops.errors import OperatorError
from caffe2ops.net import BoundNet

ENGINES: dict[str, Sequence[str]] = {}  # preferences of all workspaces, by operator type or "*"
DEFAULT = "default"


class OpenWorkspace(EngineWorkspace):
    """A workspace whose operators reach files anywhere; relative names start at its folder."""

    def __init__(self, parent: EngineWorkspace | None = None, *, root: str | Path | None = None, **kwargs: Any):
        folder = root if root is not None else parent.folder if isinstance(parent, OpenWorkspace) else "."
        super().__init__(parent, root=folder, **kwargs)
        self.engines = ENGINES
        self.folder: str = str(folder)

    def path(self, name: str | bytes) -> Path:
        return Path(self.folder, text(name))


class Net:
    """A net that has been created in a workspace."""

    def __init__(self, bound: BoundNet, workspace: Workspace):
        self._bound, self._workspace = bound, workspace

    def run(self) -> bool:
        return self._workspace.run_bound(self._bound)

    def cancel(self) -> None:
        """Ends a run of this net in another thread that waits for a queue."""
        self._bound.cancel()


class _HasCurrent(type):
    @property
    def current(cls) -> Workspace:
        """The current workspace."""
        return _named.current


class Workspace(metaclass=_HasCurrent):
    """A workspace as scripts hold it; `Workspace(parent)` sees the blobs of its parent."""

    def __init__(self, parent: Workspace | None = None, *, engine: EngineWorkspace | None = None, root: str = "."):
        self.engine: EngineWorkspace = engine or (OpenWorkspace(parent.engine) if parent else OpenWorkspace(root=root))
        self.last_failed = 0

    @property
    def blobs(self) -> dict[str, Blob]:
        """All blobs by name, those of the parents too."""
        return {name: Blob(self.engine.blob(name)) for name in self.engine.blobs()}

    @property
    def nets(self) -> dict[str, Net]:
        return {name: Net(self.engine.net(name), self) for name in self.engine.nets()}

    def create_blob(self, name: str | bytes) -> Blob:
        """The blob of that name, made where there is none."""
        return Blob(self.engine.blob(text(name)))

    def has_blob(self, name: str | bytes) -> bool:
        return self.engine.has(text(name))

    def fetch_blob(self, name: str | bytes) -> Any:
        """What the blob holds, see `Blob.fetch`. Raises RuntimeError where there is none of that name."""
        blob = self.engine.find(text(name))
        if blob is None:
            raise RuntimeError(f"Can't find blob: {text(name)}")
        return Blob(blob).fetch()

    def _remove_blob(self, name: str | bytes) -> bool:
        return self.engine.remove(text(name))

    def _last_failed_op_net_position(self) -> int:
        return self.last_failed

    @runtime_errors
    def _create_net(self, net_def: bytes, overwrite: bool = False) -> Net:
        definition = net_of(net_def)
        if definition.name in self.engine.nets() and not overwrite:
            raise ValueError(f"net {definition.name!r} exists already; overwrite=true replaces it")
        return Net(self._noting(lambda: self.engine.create(definition, overwrite=overwrite)), self)

    @runtime_errors
    def _run_net(self, net_def: bytes) -> bool:
        self._noting(lambda: self.engine.run(net_of(net_def)))
        return True

    @runtime_errors
    def _run_operator(self, op_def: bytes) -> bool:
        one_operator(op_def).run(self.engine)
        return True

    @runtime_errors
    def _run_plan(self, plan_def: bytes) -> bool:
        self._noting(lambda: self.engine.run(plan_of(plan_def)))
        return True

    @runtime_errors
    def run_bound(self, net: BoundNet, times: int = 1) -> bool:
        for _ in range(times):
            self._noting(net.run)
        return True

    def _noting(self, call: Any) -> Any:
        """The call; where an operator of a net fails its position is kept."""
        try:
            return call()
        except OperatorError as error:
            self.last_failed = error.index or 0
            raise


class _Named:
    """The workspaces that have a name, and which of them is current."""

    def __init__(self) -> None:
        self.all = {DEFAULT: Workspace()}
        self.name = DEFAULT
        self.current = self.all[DEFAULT]

    def replace(self, name: str, workspace: Workspace) -> None:
        self.all[name] = workspace
        self.current = self.all[self.name]

    def switch(self, name: str) -> None:
        self.name, self.current = name, self.all[name]


_named = _Named()


def current_workspace() -> str:
    """The name of the current workspace."""
    return _named.name


def workspaces() -> list[str]:
    return sorted(_named.all)


def switch_workspace(name: str | bytes, create_if_missing: bool = False) -> None:
    """Makes the workspace of that name current. Raises RuntimeError where there is none, unless it may be made."""
    wanted = text(name)
    if wanted not in _named.all:
        if not create_if_missing:
            raise RuntimeError(f"no workspace {wanted!r}, and create_if_missing is not set")
        _named.replace(wanted, Workspace())
    _named.switch(wanted)


def create_child_workspace(parent_ws_name: str, child_ws_name: str) -> None:
    """Makes a workspace that sees the blobs of another."""
    if parent_ws_name not in _named.all:
        raise RuntimeError(f"Parent ws does not exist: {parent_ws_name!r}")
    _named.replace(child_ws_name, Workspace(_named.all[parent_ws_name]))


def reset_workspace(root_folder: str | bytes | None = None) -> bool:
    """Puts an empty workspace in the place of the current one."""
    _named.replace(_named.name, Workspace(root="." if root_folder is None else text(root_folder)))
    return True


def root_folder() -> str:
    engine = _named.current.engine
    return engine.folder if isinstance(engine, OpenWorkspace) else "."


def blobs() -> list[str]:
    return _named.current.engine.blobs()


def local_blobs() -> list[str]:
    """The blobs of the current workspace without those of its parents."""
    return _named.current.engine.local_blobs()


def nets() -> list[str]:
    return _named.current.engine.nets()


def has_blob(name: str | bytes) -> bool:
    return _named.current.has_blob(name)


def create_blob(name: str | bytes) -> bool:
    _named.current.create_blob(name)
    return True


def reset_blob(name: str | bytes) -> None:
    """Empties a blob. Raises RuntimeError where there is none."""
    _existing(name).set(None)


def feed_blob(name: str | bytes, arg: Any, device_option: bytes | None = None) -> bool:
    return _named.current.create_blob(name)._feed(arg, device_option)


def fetch_blob(name: str | bytes) -> Any:
    return _named.current.fetch_blob(name)


def serialize_blob(name: str | bytes) -> bytes:
    """The blob as a serialized BlobProto. Raises RuntimeError where there is none."""
    return Blob(_existing(name)).serialize(text(name))


def deserialize_blob(name: str | bytes, serialized: bytes) -> None:
    """Fills a blob from a serialized BlobProto."""
    _named.current.create_blob(name).deserialize(serialized)


def get_blob_size_bytes(name: str | bytes) -> int:
    value = _existing(name).value
    return len(value) if isinstance(value, bytes) else int(getattr(value, "nbytes", 0))


def create_offline_tensor(name: str | bytes, dims: Sequence[int], data_type: int) -> bool:
    """A blob with a tensor of this shape and TensorProto.DataType, contents undefined."""
    _named.current.engine.blob(text(name)).set(np.empty(tuple(dims), dtype_of(data_type)))
    return True


_RANDOM: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "int64_t": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
}


@runtime_errors
def fill_random_network_inputs(
    net_def: bytes, input_dims: Sequence[Sequence[Sequence[int]]], input_types: Sequence[Sequence[str]]
) -> None:
    """Feeds random numbers to what the operators of a net read and none before them has written.

    Shapes and types (float, double, int, int64_t, bool) come for each operator and input. Raises RuntimeError where
    they are not as many.
    """
    net = net_of(net_def)
    counts = [len(op.input) for op in net.op]
    if [len(dims) for dims in input_dims] != counts or [len(types) for types in input_types] != counts:
        raise ValueError(f"net {net.name!r}: wants dims and types for {counts} inputs of its operators")
    rng, written = np.random.default_rng(), set[str]()
    for op, shapes, types in zip(net.op, input_dims, input_types):
        for name, shape, kind in zip(op.input, shapes, types):
            if kind not in _RANDOM:
                raise ValueError(f"input {name!r}: type {kind!r}, wants one of {', '.join(_RANDOM)}")
            if name not in written:
                _named.current.engine.feed(name, rng.uniform(0, 2, tuple(shape)).astype(_RANDOM[kind]))
        written.update(op.output)


def _existing(name: str | bytes) -> Any:
    found = _named.current.engine.find(text(name))
    if found is None:
        raise RuntimeError(f"Can't find blob: {text(name)}")
    return found
