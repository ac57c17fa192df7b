"""What to_onnx gives: the graph with its parameters, how Caffe2's blobs map to it, and writing it to a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import caffe2ops
from caffe2ops.defs import NetDef
from caffe2ops.port.onnx.nodes import elem_type, make_node
from caffe2ops.port.packages import need
from caffe2ops.port.values import Graph, Node, Value

onnx = need("onnx")
SMALL = 1 << 10  # bytes of parameters that stay in the graph, as shape inference reads dims and axes there only
EXTERNAL = (1 << 31) - (1 << 24)  # bytes of parameters that still fit into one protobuf file, with the graph
CUSTOM_DOMAIN = "caffe2ops"


@dataclass
class Step:
    """What one operator of the net became: its position (one number a nesting), type, and the Values of its outputs."""

    position: tuple[int, ...]
    type: str
    outputs: list[tuple[str, Value]]


@dataclass
class OnnxModel:
    """A ported net. `save` writes it; `outputs` maps Caffe2's blobs to the outputs of the model, in order.

    `notes` says what ONNX cannot do as Caffe2 did; `custom` lists the types kept as nodes of the domain "caffe2ops".
    `net` is the part of the net that was ported, `parameters` are the blobs that it finds in the workspace.
    """

    net: NetDef
    parameters: dict[str, Any]
    graph: Graph
    outputs: dict[str, Value]
    opset: int
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    custom: list[str] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    exact_int8: bool = False

    @property
    def inputs(self) -> list[Value]:
        """What must be fed."""
        return [value for value in self.graph.inputs if value.default is None]

    @property
    def size(self) -> int:
        """Bytes of parameters."""
        return sum(array.nbytes for array in self.initializers().values())

    def proto(self, outputs: Sequence[Value] = (), data: Path | None = None) -> Any:
        """The ModelProto; `outputs` are given out besides the model's own. With `data`, all but small parameters are
        written to that file, and the model refers to it."""
        outs = list(dict.fromkeys([*self.graph.outputs, *outputs]))
        graph = self._graph_proto(self.graph, outs)
        with nullcontext() if data is None else data.open("wb") as file:
            for name, array in self.initializers().items():
                inside = file is None or array.nbytes <= SMALL
                graph.initializer.append(
                    onnx.numpy_helper.from_array(array, name) if inside else _external(name, array, file)
                )
        imports = [onnx.helper.make_opsetid("", self.opset)]
        if self.custom:
            imports.append(onnx.helper.make_opsetid(CUSTOM_DOMAIN, 1))
        return onnx.helper.make_model(
            graph, opset_imports=imports, ir_version=onnx.helper.find_min_ir_version_for(imports[:1]),
            producer_name="caffe2ops", producer_version=caffe2ops.__version__, doc_string="\n".join(self.notes),
        )  # fmt: skip

    def save(self, path: str | Path, external: int = EXTERNAL, outputs: Sequence[Value] = ()) -> list[Path]:
        """Writes the model, and gives the files written.

        From `external` bytes of parameters on, they go to a file of their own beside it (PATH.data). `outputs`: see
        `proto`.
        """
        path = Path(path)
        data = path.with_name(path.name + ".data") if self.size >= external else None
        path.write_bytes(self.proto(outputs, data).SerializeToString(deterministic=True))
        return [path] if data is None else [path, data]

    def initializers(self) -> dict[str, np.ndarray[Any, Any]]:
        """The constants that nodes use and the values of inputs that need not be fed, by name."""
        used = {v.name: v.array for node in walk(self.graph) for v in node.inputs if v is not None}
        used |= {v.name: v.default for v in self.graph.inputs}
        return {name: np.asarray(array, order="C") for name, array in used.items() if array is not None}

    def _graph_proto(self, graph: Graph, outputs: Sequence[Value]) -> Any:
        return onnx.helper.make_graph(
            [self._node_proto(node) for node in graph.nodes], graph.name or "net",
            [_info(value) for value in graph.inputs], [_info(value) for value in outputs],
        )  # fmt: skip

    def _node_proto(self, node: Node) -> Any:
        bodies = {
            name: self._graph_proto(value, value.outputs)
            for name, value in node.attributes.items()
            if isinstance(value, Graph)
        }
        plain = Node(node.type, node.inputs, node.outputs, {**node.attributes, **bodies}, node.domain, node.name)
        names = [[v.name if v is not None else "" for v in values] for values in (node.inputs, node.outputs)]
        return make_node(plain, *names)


def walk(graph: Graph) -> Iterator[Node]:
    """All nodes, those of bodies too; a body's outputs count as inputs of a node, so that nothing used is missed."""
    for node in graph.nodes:
        yield node
        for value in node.attributes.values():
            if isinstance(value, Graph):
                yield from walk(value)
                yield Node("", list(value.outputs), [])


def _info(value: Value) -> Any:
    shape = value.shape if value.has_rank else None
    kind = 0 if value.dtype is None else elem_type(value.dtype) if value.dtype != object else onnx.TensorProto.STRING
    return onnx.helper.make_tensor_value_info(value.name, kind, shape)


def _external(name: str, array: np.ndarray[Any, Any], file: Any) -> Any:
    """A TensorProto whose bytes were appended to the file, each aligned so that it can be mapped."""
    file.write(b"\0" * (-file.tell() % 4096))
    offset = file.tell()
    file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    tensor = onnx.TensorProto(name=name, dims=array.shape, data_type=elem_type(array.dtype))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, text in (("location", Path(file.name).name), ("offset", str(offset)), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=text)
    return tensor
