"""Vocabularies and maps over several runs: they grow, threads share them, they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import Workspace
from caffe2ops.defs import BlobProto, OperatorDef
from caffe2ops.formats import FormatError, binary, blob_to_value, value_to_blobs
from tests.kit.sample import int32s, int64s, strings
from tests.kit.threads import SOON, started


def op(type_: str, inputs: list[str], outputs: list[str], **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def test_map_grows_and_keeps_values() -> None:
    workspace = Workspace()
    for keys, values in ((int32s(3, 1), int64s(30, 10)), (int32s(1, 2), int64s(99, 20))):
        workspace.feed("k", keys)
        workspace.feed("v", values)
        workspace.run(op("KeyValueToMap", ["k", "v"], ["m"]))
    workspace.run(op("MapToKeyValue", ["m"], ["k", "v"]))
    assert workspace.fetch("k").tolist() == [3, 1, 2]
    assert workspace.fetch("v").tolist() == [30, 10, 20]
    workspace.run(op("CreateMap", [], ["m"]))
    workspace.run(op("MapToKeyValue", ["m"], ["k", "v"]))
    assert workspace.fetch("k").size == 0


def test_vocabulary_is_shared_by_threads() -> None:
    workspace = Workspace()
    workspace.run(op("LongIndexCreate", [], ["words"]))
    for i in range(4):
        workspace.feed(f"keys{i}", np.random.default_rng(i).integers(0, 50, 200))
    threads = [started(lambda i=i: workspace.run(op("IndexGet", ["words", f"keys{i}"], [f"n{i}"]))) for i in range(4)]
    for thread, ends in threads:
        thread.join(SOON)
        assert ends == [None]
    workspace.run(op("IndexStore", ["words"], ["all"]))
    known = workspace.fetch("all")
    assert len(set(known.tolist())) == len(known)
    for i in range(4):
        np.testing.assert_array_equal(known[workspace.fetch(f"n{i}") - 1], workspace.fetch(f"keys{i}"))


VOCABULARY = b'\n\x01v\x12"std::unique_ptr<caffe2::IndexBase>\x1a'
BLOBS = {  # as Caffe2 1.10.2 serializes them
    "Int": (
        int32s(5, -3),
        VOCABULARY
        + b'\x1b\x08\x02\x10\x02"\x0b\x05\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01B\x02\x08\x00Z\x04\x08\x00\x10'
        b'\x02"\x039 1',
    ),
    "Long": (
        int64s(2**40, 1),
        VOCABULARY + b'\x17\x08\x02\x10\nB\x02\x08\x00R\x07\x80\x80\x80\x80\x80 \x01Z\x04\x08\x00\x10\x02"\x039 1',
    ),
    "String": (
        strings("b", "a"),
        VOCABULARY + b'\x14\x08\x02\x10\x042\x01b2\x01aB\x02\x08\x00Z\x04\x08\x00\x10\x02"\x039 1',
    ),
    "map": (
        [int64s(7), int32s(8)],
        b'\n\x01v\x12&(std::unordered_map<int64_t, int32_t>)"&\n\x11\x08\x01\x10\nB\x02\x08\x00R\x01\x07Z\x04\x08\x00'
        b'\x10\x01\n\x11\x08\x01\x10\x02"\x01\x08B\x02\x08\x00Z\x04\x08\x00\x10\x01',
    ),
}


@pytest.mark.parametrize("kind", BLOBS)
def test_vocabularies_and_maps_are_saved(kind: str, tmp_path: Path) -> None:
    content, written = BLOBS[kind]
    workspace = Workspace(root=tmp_path)
    if kind == "map":
        workspace.feed("k", content[0])
        workspace.feed("x", content[1])
        workspace.run(op("KeyValueToMap", ["k", "x"], ["v"]))
    else:
        workspace.feed("k", content)
        workspace.run(op(f"{kind}IndexCreate", [], ["v"], max_elements=9))
        workspace.run(op("IndexLoad", ["v", "k"], ["v"]))
        workspace.run(op("IndexFreeze", ["v"], ["v"]))
    assert binary.encode(value_to_blobs("v", workspace.fetch("v"))[0]) == written
    workspace.run(op("Save", ["v"], [], db="v.db", db_type="minidb"))
    workspace.remove("v")
    workspace.run(op("Load", [], ["v"], db="v.db", db_type="minidb"))
    if kind == "map":
        workspace.run(op("MapToKeyValue", ["v"], ["k", "x"]))
        assert (workspace.fetch("k").tolist(), workspace.fetch("x").tolist()) == ([7], [8])
    else:
        workspace.run(op("IndexStore", ["v"], ["all"]))
        np.testing.assert_array_equal(workspace.fetch("all"), content)
        workspace.feed("more", np.concatenate([content[1:], content[:1] * 2]))
        workspace.run(op("IndexGet", ["v", "more"], ["numbers"]))
        assert workspace.fetch("numbers").tolist() == [2, 0]  # it is still frozen


def test_damaged_vocabularies_and_maps_are_refused() -> None:
    for name in ("std::unique_ptr<caffe2::IndexBase>", "(std::unordered_map<int64_t, int32_t>)"):
        with pytest.raises(FormatError, match="blob 'v': is no"):
            blob_to_value(BlobProto(name="v", type=name, content=b""))
