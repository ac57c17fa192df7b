"""What ONNX itself knows of a model: dtypes and shapes, and what nodes of constants give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx import microsoft
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.values import known
from caffe2ops.port.values import Dim, NotPortable, Value

NOT_INFERRED = (ValueError, RuntimeError, onnx.shape_inference.InferenceError)


def types_of(model: Any, shapes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """dtype and dims of the values of a model by name, as far as inference over the whole knows them.

    `shapes`: dims of inputs in place of those that the model declares.
    """
    if shapes:
        given = onnx.ModelProto()
        given.CopyFrom(model)
        for info in given.graph.input:
            if info.name in shapes:
                elem = info.type.tensor_type.elem_type
                info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, elem, shapes[info.name]))
        del given.graph.value_info[:], given.graph.output[:]
        given.graph.output.extend(onnx.helper.make_empty_tensor_value_info(o.name) for o in model.graph.output)
        model = given
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except onnx.checker.ValidationError as error:
        raise ValueError(f"the model is not valid: {error}") from error
    except NOT_INFERRED:  # too large for one message, or wrong: then node by node has to do
        graph = model.graph
    infos = [i for i in (*graph.value_info, *graph.output) if i.type.HasField("tensor_type")]
    return {info.name: parts_of(info.type) for info in infos}


def inferred(node: Node, inputs: Sequence[Value | None], opset: int) -> dict[str, tuple[Any, Any]]:
    """dtype and dims of a node's outputs out0, out1, ..., by ONNX's inference; nothing where that fails.

    Raises NotPortable where the node doesn't take the dtypes of its inputs.
    """
    schema = node.schema
    if schema is None or any(v is not None and v.dtype is None for v in inputs):
        return {}
    names, outputs = _numbered(node, inputs)
    proto = node.resolved(names, outputs)
    types = {name: _type(v) for name, v in zip(names, inputs) if v is not None}
    small = [(name, v.array) for name, v in zip(names, inputs) if v is not None and v.array is not None]
    data = {name: onnx.numpy_helper.from_array(a, name) for name, a in small if a.size <= 64 and a.dtype != object}
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[onnx.helper.make_opsetid("", opset)]
        )
    except onnx.checker.ValidationError as error:
        raise NotPortable(str(error)) from error
    except NOT_INFERRED:
        return {}
    return {name: parts_of(kind) for name, kind in found.items() if kind.HasField("tensor_type")}


def _type(value: Value | None) -> Any:
    if value is None:
        return onnx.TypeProto()
    code = onnx.TensorProto.STRING if value.dtype == object else onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_type_proto(code, value.shape if value.has_rank else None)


def parts_of(kind: Any) -> tuple[Any, Any]:
    """dtype and dims of a TypeProto."""
    tensor = kind.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape"):
        return dtype, None
    dims = [
        (d.dim_value if d.dim_value >= 0 else None) if d.HasField("dim_value") else d.dim_param or None
        for d in tensor.shape.dim
    ]
    return dtype, dims


def elements(node: Node, inputs: Sequence[Any]) -> tuple[Any, ...] | None:
    """What is known of the elements of a shape that a node computes: numbers, names of dims that vary, None."""
    given = [None if v is None else v.dims if v.array is None else _flat(v.array) for v in inputs]
    if node.type == "Shape" and inputs[0].has_rank:
        return tuple(inputs[0].shape[slice(node["start"], node["end"])])
    if not given:
        return None
    if node.type == "Concat":
        sizes = [v.shape[0] if v.has_rank and v.rank == 1 else None for v in inputs]
        parts = [(None,) * n if dims is None and isinstance(n, int) else dims for dims, n in zip(given, sizes)]
        return None if None in parts else tuple(d for dims in parts if dims is not None for d in dims)
    if given[0] is None:
        return None
    if node.type in ("Identity", "Cast", "Squeeze", "Unsqueeze"):
        return given[0]
    if node.type == "Gather" and inputs[1].array is not None and inputs[0].rank == 1:
        return tuple(given[0][i] for i in inputs[1].array.reshape(-1))
    if node.type == "Slice" and node.opset >= 10 and all(v is None or v.array is not None for v in inputs[1:]):
        first, last = (int(v.array.reshape(-1)[0]) for v in inputs[1:3])
        step = int(inputs[4].array.reshape(-1)[0]) if len(inputs) > 4 and inputs[4] is not None else 1
        return given[0][first:last:step]
    return None


def _flat(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    return tuple(array.reshape(-1).tolist()) if array.dtype == np.int64 and array.size <= 16 else None


def computed(node: Node, inputs: Sequence[Value | None], opset: int) -> list[np.ndarray[Any, Any]] | None:
    """What a node gives for constants, by ONNX's own reference; None where that can't do it."""
    from onnx.reference import ReferenceEvaluator

    names, outputs = _numbered(node, inputs)
    infos = [[onnx.helper.make_empty_tensor_value_info(n) for n in side if n] for side in (names, outputs)]
    graph = onnx.helper.make_graph([node.resolved(names, outputs)], "fold", *infos)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feeds = {name: v.array for name, v in zip(names, inputs) if v is not None}
    try:
        with np.errstate(all="ignore"):
            return [np.asarray(r) for r in ReferenceEvaluator(model).run(None, feeds)]
    except Exception:  # it raises whatever its NumPy code does
        return None


def function_of(node: Node, inputs: Sequence[Value | None], opset: int, own: Mapping[Any, Any]) -> Any:
    """The FunctionProto of a node, of the model's own or of ONNX's; None where there is none."""
    if (node.domain, node.type) in own:
        return own[node.domain, node.type]
    if node.domain == microsoft.DOMAIN:
        return microsoft.function(node, opset)
    schema = node.schema
    if schema is None:
        return None
    if schema.has_function:
        body = schema.get_function_with_opset_version(_nearest(schema.function_opset_versions, opset))
    elif schema.has_context_dependent_function:
        version = _nearest(schema.context_dependent_function_opset_versions, opset)
        proto = node.resolved(*_numbered(node, inputs))
        types = [_type(v).SerializeToString() for v in inputs]
        body = schema.get_context_dependent_function_with_opset_version(version, proto.SerializeToString(), types)
    else:
        return None
    return onnx.FunctionProto.FromString(body) if body else None


def _nearest(versions: Sequence[int], opset: int) -> int:
    """The version of a function to take: the newest that this opset has, or else the oldest."""
    return max((v for v in versions if v <= opset), default=min(versions))


def _numbered(node: Node, inputs: Sequence[Value | None]) -> tuple[list[str], list[str]]:
    """Names for a node that stands alone: in0, in1, ... and out0, ..., "" for what is left out."""
    return (
        [f"in{i}" if v is not None else "" for i, v in enumerate(inputs)],
        [f"out{i}" if name else "" for i, name in enumerate(node.outputs)],
    )


def fed(g: Builder, info: Any, shape: Sequence[Dim] | None) -> Value:
    """An input of the model. Raises ValueError where Caffe2 has no tensors of it."""
    if not info.type.HasField("tensor_type"):
        raise ValueError(f"input {info.name!r}: is a {info.type.WhichOneof('value')}, Caffe2 has tensors only")
    dtype, dims = parts_of(info.type)
    try:
        known(dtype)
    except NotPortable as error:
        raise ValueError(f"input {info.name!r}: {error}") from None
    value = Value(g.names.unique(info.name), dtype, dims if shape is None else shape)
    value.settled = value.name
    return value
