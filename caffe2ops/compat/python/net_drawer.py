"""caffe2.python.net_drawer: nets as graphs in the dot language. Text needs nothing; images need Graphviz's `dot`."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

import json
import logging
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import starmap
from pathlib import Path
from typing import Any

from caffe2ops.compat.python import caffe2_pb2

OP_STYLE = {"shape": "box", "color": "#0F9D58", "style": "filled", "fontcolor": "#FFFFFF"}
BLOB_STYLE = {"shape": "octagon"}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# One white pixel.
_EMPTY_PNG = b"\x89PNG\r\n\x1a\n" + b"".join(
    starmap(
        _chunk,
        [
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(b"\x00\xff")),
            (b"IEND", b""),
        ],
    )
)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class Graph:
    """A directed graph with the methods of pydot's that scripts use."""

    def __init__(self, name: str, rankdir: str):
        self.name, self.rankdir = name, rankdir
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str]] = []

    def get_name(self) -> str:
        return self.name

    def add_node(self, name: str, **style: str) -> str:
        self.nodes.setdefault(name, style)
        return name

    def add_edge(self, start: str, end: str) -> None:
        self.edges.append((start, end))

    def to_string(self) -> str:
        """The graph in the dot language."""
        lines = [f"digraph {_quoted(self.name)} {{", f"rankdir={self.rankdir};"]
        for name, style in self.nodes.items():
            attributes = ", ".join(f"{key}={_quoted(value)}" for key, value in style.items())
            lines.append(f"{_quoted(name)} [{attributes}];" if attributes else f"{_quoted(name)};")
        lines += [f"{_quoted(start)} -> {_quoted(end)};" for start, end in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    __str__ = to_string

    def create(self, format: str = "png") -> bytes:
        """The drawn graph. Raises RuntimeError where Graphviz is not installed."""
        program = shutil.which("dot")
        if program is None:
            raise RuntimeError("drawing wants Graphviz's dot on the path; to_string() gives the graph as text")
        text = self.to_string().encode()
        return subprocess.run([program, f"-T{format}"], input=text, capture_output=True, check=True).stdout

    def write(self, path: str | Path, format: str = "raw") -> bool:
        """Writes the graph as text ("raw") or drawn."""
        Path(path).write_bytes(self.to_string().encode() if format == "raw" else self.create(format))
        return True

    def create_png(self) -> bytes:
        return self.create("png")

    def create_svg(self) -> bytes:
        return self.create("svg")

    def write_png(self, path: str | Path) -> bool:
        return self.write(path, "png")

    def write_svg(self, path: str | Path) -> bool:
        return self.write(path, "svg")

    def write_pdf(self, path: str | Path) -> bool:
        return self.write(path, "pdf")


def _operators_and_name(operators_or_net: Any, name: str | None) -> tuple[Any, str]:
    net = operators_or_net.Proto() if hasattr(operators_or_net, "Proto") else operators_or_net
    if isinstance(net, caffe2_pb2.NetDef):
        return net.op, net.name if name is None else name
    return net, name or "unnamed"


def GetOpNodeProducer(append_output: bool, **kwargs: str) -> Callable[[Any, int], tuple[str, dict[str, str]]]:
    """A function that gives (name, style) of an operator's node; with its outputs in the name where `append_output`."""

    def node(op: Any, op_id: int) -> tuple[str, dict[str, str]]:
        kind = f"{op.name}/{op.type}" if op.name else op.type
        return "\n".join([f"{kind} (op#{op_id})", *(op.output if append_output else ())]), kwargs

    return node


def GetBlobNodeProducer(**kwargs: str) -> Callable[[str, str], tuple[str, dict[str, str]]]:
    """A function that gives (name, style) of a blob's node."""
    return lambda node_name, label: (node_name, {"label": label, **kwargs})


def GetPydotGraph(
    operators_or_net: Any,
    name: str | None = None,
    rankdir: str = "LR",
    op_node_producer: Any = None,
    blob_node_producer: Any = None,
) -> Graph:
    """The graph of a net's operators and blobs; a blob that is written again is a node of its own."""
    draw_op = op_node_producer or GetOpNodeProducer(False, **OP_STYLE)
    draw_blob = blob_node_producer or GetBlobNodeProducer(**BLOB_STYLE)
    operators, name = _operators_and_name(operators_or_net, name)
    graph = Graph(name, rankdir)
    version: Counter[str] = Counter()
    seen: set[str] = set()

    def blob_node(blob: str) -> str:
        node, style = draw_blob(f"{blob}{version[blob]}", blob)
        seen.add(blob)
        return graph.add_node(node, **style)

    for op_id, op in enumerate(operators):
        node, style = draw_op(op, op_id)
        graph.add_node(node, **style)
        for blob in op.input:
            graph.add_edge(blob_node(blob), node)
        for blob in op.output:
            if blob in seen:
                version[blob] += 1
            graph.add_edge(node, blob_node(blob))
    return graph


def GetPydotGraphMinimal(
    operators_or_net: Any,
    name: str | None = None,
    rankdir: str = "LR",
    minimal_dependency: bool = False,
    op_node_producer: Any = None,
) -> Graph:
    """The graph of a net's operators alone. With `minimal_dependency`, an edge that longer paths imply is left out."""
    draw_op = op_node_producer or GetOpNodeProducer(False, **OP_STYLE)
    operators, name = _operators_and_name(operators_or_net, name)
    graph = Graph(name, rankdir)
    writer: dict[str, str] = {}
    ancestors: dict[str, set[str]] = {}
    for op_id, op in enumerate(operators):
        node, style = draw_op(op, op_id)
        graph.add_node(node, **style)
        parents = [writer[blob] for blob in op.input if blob in writer]
        for parent in parents:
            if not minimal_dependency or all(parent not in ancestors[other] for other in parents):
                graph.add_edge(parent, node)
        ancestors[node] = set(parents).union(*(ancestors[parent] for parent in parents))
        writer.update(dict.fromkeys(op.output, node))
    return graph


def GetGraphPngSafe(func: Callable[..., Graph], *args: Any, **kwargs: Any) -> bytes:
    """The image of the graph that `func` gives; where drawing fails, an empty one and a line in the log."""
    try:
        return func(*args, **kwargs).create_png()
    except Exception as error:
        logging.getLogger(__name__).error("the graph was not drawn: %s", error)
        return _EMPTY_PNG
