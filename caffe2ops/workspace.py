"""A Workspace holds blobs by name and the nets bound to them. It is an object: two of them share nothing."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef, PlanDef, data_type_of
from caffe2ops.errors import BlobError, did_you_mean
from caffe2ops.placement import on_device
from caffe2ops.qtensor import QTensor

if TYPE_CHECKING:
    from caffe2ops.net import BoundNet


class Blob:
    """A named place for a value: an array on either device, a QTensor, bytes (a string), or any object (an opaque
    handle).

    None means that nothing has been written yet. Whoever replaces the value calls `set`, so that nets which run on the
    arrays themselves notice.
    """

    __slots__ = ("name", "value", "watchers")

    def __init__(self, name: str):
        self.name = name
        self.value: Any = None
        self.watchers: list[weakref.ref[BoundNet]] = []

    def __getstate__(self) -> tuple[str, Any]:
        return self.name, self.value

    def __setstate__(self, state: tuple[str, Any]) -> None:
        self.name, self.value = state
        self.watchers = []  # nets on the arrays of the blob that this is a copy of

    def set(self, value: Any) -> None:
        self.value = value
        if self.watchers:
            for watcher in self.watchers:
                net = watcher()
                if net is not None:
                    net.unsettle()
            self.watchers.clear()

    def feed(self, value: Any, device: DeviceOption | None = None) -> None:
        """Puts a copy of a value into the blob.

        Arrays keep dtype and shape (uint32, uint64 and complex are refused: Caffe2 has no such tensors); an array of
        str or bytes becomes a string tensor; what NumPy can make an array of (a tensor of PyTorch) is one. str and
        bytes become a string blob. Python numbers and lists become float32 or int64. Other objects are kept as they are
        (opaque handles). `device`: where an array is put, else the CPU.
        """
        if isinstance(value, (str, bytes)):
            self.set(value.encode() if isinstance(value, str) else value)
            return
        if isinstance(value, (int, float, complex, list, tuple, np.generic)):
            value = _plain(self.name, value)
        elif hasattr(value, "__array__") and not hasattr(value, "__cuda_array_interface__"):
            value = np.asanyarray(value)
        if isinstance(value, np.ndarray):
            value = _tensor(self.name, value)
            if device is not None and registry.DEVICES.get(device.device_type) == "cuda":
                self.set(registry.array_module("cuda").asarray(value))
                return
            held = self.value
            if isinstance(held, np.ndarray) and held.shape == value.shape and held.dtype == value.dtype:
                np.copyto(held, value)
                return
            value = np.array(value, order="C")
        elif isinstance(value, QTensor):
            value = QTensor(value.data.copy(), value.scale, value.zero_point)
        self.set(value)

    def fetch(self) -> Any:
        """A copy of what the blob holds; see `Workspace.fetch`. Raises BlobError where nothing has been written yet."""
        value = self.value
        if value is None:
            raise BlobError(f"blob {self.name!r} is empty: nothing has been written to it yet")
        if hasattr(value, "dtype"):
            return value.get() if hasattr(value, "get") else value.copy()
        if isinstance(value, QTensor):
            return QTensor(value.data.copy(), value.scale, value.zero_point)
        return value

    def __str__(self) -> str:
        return f"{self.name} {describe(self.value)}"


def describe(value: Any) -> str:
    """What a blob holds, in a few words: dtype and shape of a tensor, else the type."""
    if value is None:
        return "(empty)"
    if isinstance(value, QTensor):
        return f"quantised {value.data.dtype}[{', '.join(map(str, value.shape))}]"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        dtype = "string" if value.dtype == object else value.dtype
        return f"{dtype}[{', '.join(map(str, value.shape))}]"
    return f"({type(value).__name__})"


class Workspace:
    """Blobs, and nets bound to them.

    `parent`: blobs that are not here are looked up there. `root`: the folder in which operators that touch files may
    do so (refused without one). `seed`: makes operators without a random seed of their own reproducible; without one
    the parent's seeds go on. `engines`: preferred engines, by operator type or for all ("*").
    """

    def __init__(
        self,
        parent: Workspace | None = None,
        *,
        root: str | Path | None = None,
        seed: int | None = None,
        engines: Mapping[str, Sequence[str]] | None = None,
    ):
        self.parent = parent
        self.root: Path | None = Path(root).resolve() if root is not None else parent.root if parent else None
        inherited: Mapping[str, Sequence[str]] = parent.engines if parent else {}
        self.engines: dict[str, Sequence[str]] = dict(inherited if engines is None else engines)
        self.seeds: np.random.SeedSequence = parent.seeds if parent and seed is None else np.random.SeedSequence(seed)
        self._blobs: dict[str, Blob] = {}
        self._nets: dict[str, BoundNet] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_nets": [net.definition for net in self._nets.values()]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has copies of the blobs, and its nets bound anew."""
        vars(self).update(state, _nets={})
        for definition in state["_nets"]:
            self.create(definition)

    # --- blobs ---

    def blobs(self) -> list[str]:
        """Names of all blobs, those of the parent after one's own."""
        own = self.local_blobs()
        return own + [name for name in (self.parent.blobs() if self.parent else ()) if name not in self._blobs]

    def local_blobs(self) -> list[str]:
        """Names of the blobs of this workspace itself."""
        return sorted(self._blobs)

    def find(self, name: str) -> Blob | None:
        """The blob of that name here or in the parent, or None."""
        found = self._blobs.get(name)
        return self.parent.find(name) if found is None and self.parent else found

    def blob(self, name: str) -> Blob:
        """The blob of that name, made here (empty) where there is none."""
        found = self.find(name)
        if found is None:
            found = self._blobs.setdefault(name, Blob(name))  # another thread may be making it, too
        return found

    def local_blob(self, name: str) -> Blob:
        """The blob of that name in this workspace itself, hiding one of the parent."""
        return self._blobs.setdefault(name, Blob(name))

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    __contains__ = has

    def share(self, name: str, blob: Blob) -> None:
        """Makes a blob of another workspace known here, under any name."""
        self._blobs[name] = blob

    def child(self) -> Workspace:
        """A workspace of this one's kind that has it as parent."""
        return type(self)(self)

    def remove(self, name: str) -> bool:
        """Removes a blob of this workspace; nets that hold it go on with it. Tells whether there was one."""
        return self._blobs.pop(name, None) is not None

    def feed(self, name: str, value: Any, device: DeviceOption | None = None) -> None:
        """Puts a copy of a value into the blob of that name, made where there is none; see `Blob.feed`."""
        self.blob(name).feed(value, device)

    def fetch(self, name: str) -> Any:
        """A copy of what a blob holds: an array (from either device), a QTensor, bytes, or the object itself.

        Raises BlobError for a blob that does not exist or that nothing has been written to.
        """
        found = self.find(name)
        if found is None:
            raise BlobError(f"no blob {name!r} in the workspace{did_you_mean(name, self.blobs())}")
        return found.fetch()

    # --- nets ---

    def create(self, net: Any, *, overwrite: bool = False, device: DeviceOption | None = None) -> BoundNet:
        """Binds a net (NetDef or builder) to this workspace. `device` runs all of it there, whatever the net says.

        Raises ValueError where a net of that name exists, unless `overwrite`; OperatorError for what is wrong in it.
        """
        from caffe2ops.net import BoundNet

        definition = on_device(definition_of(net), device)
        if definition.name in self._nets and not overwrite:
            raise ValueError(f"net {definition.name!r} exists in the workspace: rename it or say overwrite=True")
        bound = BoundNet(definition, self)
        self._nets[definition.name] = bound
        return bound

    def net(self, name: str) -> BoundNet:
        """The bound net of that name here or in the parent. Raises BlobError."""
        if name in self._nets:
            return self._nets[name]
        if self.parent is not None:
            return self.parent.net(name)
        raise BlobError(f"no net {name!r} in the workspace{did_you_mean(name, self._nets)}")

    def nets(self) -> list[str]:
        return sorted(self._nets)

    def delete_net(self, name: str) -> bool:
        return self._nets.pop(name, None) is not None

    def run(self, what: Any, *, device: DeviceOption | None = None) -> None:
        """Runs an OperatorDef, a NetDef or a builder once, a PlanDef, or a created net by its name.

        `device` runs all of it there, whatever it says.
        """
        from caffe2ops.net import BoundNet
        from caffe2ops.one_operator import OneOperator
        from caffe2ops.plan import run_plan

        if isinstance(what, str):
            if device is not None:
                raise ValueError(f"net {what!r} was created on its devices: give `device` to create")
            self.net(what).run()
        elif isinstance(what, OperatorDef):
            OneOperator(on_device(what, device)).run(self)
        elif isinstance(what, PlanDef):
            run_plan(on_device(what, device), self)
        else:
            BoundNet(on_device(definition_of(what), device), self).run()

    def reset(self) -> None:
        """Forgets all blobs and nets of this workspace."""
        self._nets.clear()
        self._blobs.clear()

    # --- what operators ask for ---

    def path(self, name: str | bytes) -> Path:
        """A file name given to an operator, resolved inside the root folder.

        Raises PermissionError where the workspace has no root, or where the name leads out of it.
        """
        text = name.decode() if isinstance(name, bytes) else name
        if self.root is None:
            raise PermissionError(f"file {text!r}: operators touch no files in a workspace without a root folder")
        path = (self.root / text).resolve()
        if not path.is_relative_to(self.root):
            raise PermissionError(f"file {text!r} lies outside the root folder of the workspace")
        return path

    def next_seed(self) -> int:
        """A fresh random seed (uint32), reproducible where the workspace was given a seed."""
        return int(self.seeds.spawn(1)[0].generate_state(1)[0])


def definition_of(net: Any) -> NetDef:
    """The NetDef of a NetDef or of a builder."""
    definition = net if isinstance(net, NetDef) else getattr(net, "definition", None)
    if not isinstance(definition, NetDef):
        raise TypeError(f"wants a NetDef, OperatorDef, PlanDef, builder or name of a net, got {type(net).__name__}")
    return definition


def _plain(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"blob {name!r}: {error}") from None
    if isinstance(value, np.generic) or array.dtype.kind not in "fi":
        return array
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def _tensor(name: str, value: np.ndarray) -> np.ndarray:
    if np.any(getattr(value, "mask", False)):
        raise TypeError(f"blob {name!r}: a masked array; Caffe2 has no masks, feed what `filled` gives")
    if value.dtype.kind in "SUO":
        flat = [v.encode() if isinstance(v, str) else v for v in value.ravel().tolist()]
        if not all(isinstance(v, bytes) for v in flat):
            raise TypeError(f"blob {name!r}: an object array may hold str and bytes only")
        strings = np.empty(value.shape, object)
        strings.ravel()[:] = flat
        return strings
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    try:
        data_type_of(value.dtype)
    except TypeError as error:
        raise TypeError(f"blob {name!r}: {error}") from None
    return value
