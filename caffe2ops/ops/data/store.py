"""Stores that processes share blobs through: a folder with a file for each key."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from caffe2ops import formats
from caffe2ops.defs import BlobProto
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.data.files import inside_root, on_device, on_host
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.data.save import check_serialized

TIMEOUT = 30.0  # seconds to wait for a key, or for another process to have done with one
INTERVAL = 0.01  # seconds from one look to the next


class FileStore:
    """A folder whose files are values by their keys; a file appears whole. Made where the one around it exists.

    Caffe2: distributed/file_store_handler.
    """

    def __init__(self, folder: Path, timeout: float = TIMEOUT):
        self._folder, self.timeout = folder, timeout
        folder.mkdir(exist_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"k{quote(key, safe='')}"

    def write(self, key: str, data: bytes) -> None:
        fresh = self._folder / f"w{os.getpid()}-{threading.get_ident()}"
        fresh.write_bytes(data)
        fresh.replace(self._path(key))

    def read(self, key: str) -> bytes:
        """The value, as soon as there is one. Raises TimeoutError."""
        self.wait([key])
        return self._path(key).read_bytes()

    def wait(self, keys: Sequence[str]) -> None:
        """Waits until all keys have values. Raises TimeoutError naming those that have none."""

        def missing() -> list[str]:
            return [key for key in keys if not self._path(key).exists()]

        if not self._until(lambda: not missing()):
            raise TimeoutError(f"names: no value for {', '.join(missing())} after {self.timeout} s")

    def add(self, key: str, value: int) -> int:
        """Adds to the number at a key, 0 where there is none, and gives the sum."""
        with self._alone(key):
            path = self._path(key)
            total = value + (int(path.read_bytes()) if path.exists() else 0)
            self.write(key, str(total).encode())
            return total

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Keeps other processes from the key; a folder that only one of them can make stands for the right."""
        lock = self._folder / f"l{quote(key, safe='')}"

        def locked() -> bool:
            try:
                lock.mkdir()
            except FileExistsError:
                return False
            return True

        if not self._until(locked):
            raise TimeoutError(f"blob_name: {key!r} is held by another process for {self.timeout} s")
        try:
            yield
        finally:
            lock.rmdir()

    def _until(self, holds: Callable[[], bool]) -> bool:
        """Whether it comes to hold in time."""
        end = time.monotonic() + self.timeout
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(INTERVAL)
        return True


HANDLER = {"handler": "the store, from FileStoreHandlerCreate"}


def store_of(handler: Any) -> FileStore:
    """The store that an input holds."""
    return held("handler", handler, FileStore, "FileStoreHandlerCreate")


class FileStoreHandlerCreate(Operator):
    """Opens a store in a folder of the workspace's root folder; it must exist.

    Raises FileNotFoundError where it does not, PermissionError outside the root folder. Caffe2:
    distributed/file_store_handler_op; its files have other names.
    """

    contract = "-> handler: blob"
    docs = {"handler": "the store"}
    path: str = Arg(doc="the folder")
    prefix: str = Arg("", doc="keeps keys apart from those of stores with another prefix")

    def run_cpu(self) -> FileStore:
        folder = inside_root(self, self.path, absolute=True)
        if not folder.is_dir():
            raise FileNotFoundError(f"path: there is no folder {self.path!r}")
        return FileStore(folder / f"p{quote(self.prefix, safe='')}" if self.prefix else folder)

    run_cuda = run_cpu


class StoreSet(Operator):
    """Puts a blob into a store, under its name or `blob_name`.

    Raises TypeError for a blob that has no serialized form. Caffe2: distributed/store_ops.
    """

    contract = "handler: blob, data: blob ->"
    docs = {**HANDLER, "data": "what is put there: a tensor, a quantised tensor, a string"}
    blob_name: str = Arg("", doc="the key; by default the name of the blob")

    def run_cpu(self, handler: Any, data: Any) -> None:
        check_serialized("data", on_host(data))
        name = self.blob_name or self.op_def.input[1]
        (blob,) = formats.value_to_blobs(name, on_host(data))
        store_of(handler).write(name, formats.encode(blob))


class StoreGet(Operator):
    """Takes a blob from a store, under the output's name or `blob_name`; waits for it up to 30 seconds.

    Raises TimeoutError. Caffe2: distributed/store_ops.
    """

    contract = "handler: blob -> data: blob"
    docs = {**HANDLER, "data": "what was put there"}
    blob_name: str = Arg("", doc="the key; by default the name of the output")

    def run_cpu(self, handler: Any) -> Any:
        raw = store_of(handler).read(self.blob_name or self.op_def.output[0])
        return on_device(self, formats.blob_to_value(formats.decode(raw, BlobProto)))


class StoreAdd(Operator):
    """Adds to a number in a store, 0 at first: int64[1], the sum.

    Caffe2: distributed/store_ops; there, a store of files ends the process.
    """

    contract = "handler: blob -> value: int64[1]"
    docs = {**HANDLER, "value": "the sum"}
    blob_name: str = Arg(doc="the key")
    add_value: int = Arg(1, doc="what is added")

    def run_cpu(self, handler: Any) -> np.ndarray:
        return np.array([store_of(handler).add(self.blob_name, self.add_value)], np.int64)


class StoreWait(Operator):
    """Waits until blobs are in a store, up to 30 seconds. Raises TimeoutError.

    Caffe2: distributed/store_ops; it reads the names from an argument `blob_name`.
    """

    contract = "handler: blob, names?: string ->"
    docs = {**HANDLER, "names": "the keys, instead of blob_names"}
    blob_names: list[str] = Arg((), doc="the keys")
    blob_name: list[str] = Arg((), doc="more keys")

    def run_cpu(self, handler: Any, names: np.ndarray | None = None) -> None:
        keys = [*self.blob_names, *self.blob_name]
        if names is not None:
            if keys:
                raise ValueError("names: cannot specify both argument and input blob")
            keys = [name.decode() for name in names.reshape(-1).tolist()]
        store_of(handler).wait(keys)
