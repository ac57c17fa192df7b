"""Stores of files: keys kept apart, waiting, adding on threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import OperatorDef
from caffe2ops.ops.data.store import FileStore
from caffe2ops.workspace import Workspace
from tests.kit.sample import strings
from tests.kit.threads import together


def op(type_: str, inputs: Any = (), outputs: Any = (), **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def test_stores_keep_keys_apart(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    workspace = Workspace(root=tmp_path / "root")
    numbers, words = np.float32([[1, 2], [3, 4]]), strings("p", "q")
    workspace.feed("a", numbers)
    workspace.feed("s", words)
    for prefix in ("", "p", "../q"):
        workspace.run(op("FileStoreHandlerCreate", (), [f"h{prefix}"], path=".", prefix=prefix))
    workspace.run(op("StoreSet", ["h", "a"], blob_name="../k"))
    workspace.run(op("StoreSet", ["hp", "s"], blob_name="../k"))
    workspace.run(op("StoreGet", ["h"], ["y"], blob_name="../k"))
    workspace.run(op("StoreGet", ["hp"], ["z"], blob_name="../k"))
    assert np.array_equal(workspace.fetch("y"), numbers)
    assert np.array_equal(workspace.fetch("z"), words)
    folders = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("k*")}
    assert folders == {"root", "root/pp"}


def test_a_store_waits(tmp_path: Path) -> None:
    store = FileStore(tmp_path, timeout=5)
    threading.Timer(0.05, lambda: store.write("k", b"v")).start()
    assert store.read("k") == b"v"
    store.timeout = 0.02
    with pytest.raises(TimeoutError, match="no value for other after"):
        store.wait(["k", "other"])


def test_a_store_adds_on_threads(tmp_path: Path) -> None:
    together(4, lambda: [FileStore(tmp_path).add("n", 2) for _ in range(5)])
    assert FileStore(tmp_path).add("n", 0) == 40
