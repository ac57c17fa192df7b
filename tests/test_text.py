"""Tables of text read from files, in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import Workspace
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import OperatorError


def op(type_: str, inputs: list[str], outputs: list[str], **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def read_rows(workspace: Workspace, count: int, *names: str) -> list[list[Any]]:
    workspace.run(op("TextFileReaderRead", ["reader"], list(names), batch_size=count))
    return [workspace.fetch(name).tolist() for name in names]


def text_reader(root: Path, text: bytes, *field_types: int, **args: Any) -> Workspace:
    (root / "table.txt").write_bytes(text)
    workspace = Workspace(root=root)
    workspace.run(
        op("CreateTextFileReader", [], ["reader"], filename="table.txt", field_types=list(field_types), **args)
    )
    return workspace


def test_in_batches_and_passes(tmp_path: Path) -> None:
    workspace = text_reader(tmp_path, b"a\t1\nb\t 2.5e1x\n\t-inf\n", 4, 1, num_passes=2)
    assert read_rows(workspace, 2, "s", "f") == [[b"a", b"b"], [1.0, 25.0]]
    assert read_rows(workspace, 2, "s", "f") == [[b"", b"a"], [-np.inf, 1.0]]
    assert read_rows(workspace, 9, "s", "f") == [[b"b", b""], [25.0, -np.inf]]
    assert read_rows(workspace, 9, "s", "f") == [[], []]
    assert workspace.fetch("f").dtype == np.float32


def test_larger_than_a_chunk(tmp_path: Path) -> None:
    rows = [f"{i} " * 9 for i in range(9000)]
    workspace = text_reader(tmp_path, "".join(f"{row}\n" for row in rows).encode(), 4)
    assert read_rows(workspace, 10000, "s") == [[row.encode() for row in rows]]


def test_quotes_and_unfinished_lines(tmp_path: Path) -> None:
    workspace = text_reader(tmp_path, b"a\0\tb\nc\0\0\nlost", 4)
    assert read_rows(workspace, 9, "s") == [[b"a\tb", b"c\0"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a\t1\nb\n", "row 2 has 1 fields, wants 2"),
        (b"a\t1\t2\n", "row 1 has 2 or more fields, wants 2"),
        (b"a\t1\nb\t2", "the last row has 1 whole fields, wants 2"),
        (b"a\tx\n", "field b'x' does not start as a number"),
    ],
)
def test_that_is_no_table(tmp_path: Path, text: bytes, message: str) -> None:
    workspace = text_reader(tmp_path, text, 4, 1)
    with pytest.raises(OperatorError, match=message):
        read_rows(workspace, 9, "s", "f")


def test_of_other_fields_or_elsewhere(tmp_path: Path) -> None:
    workspace = text_reader(tmp_path, b"a\n", 4)
    with pytest.raises(OperatorError, match="rows have 1 fields, there are 2 outputs"):
        read_rows(workspace, 1, "s", "t")
    with pytest.raises(OperatorError, match="lies outside the root folder"):
        workspace.run(op("CreateTextFileReader", [], ["r"], filename="/etc/passwd", field_types=[4]))
