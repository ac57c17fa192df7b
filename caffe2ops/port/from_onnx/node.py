"""A node of an ONNX model as the rules see it: attributes by name, with the defaults of its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from caffe2ops.port.packages import need
from caffe2ops.port.values import NotPortable

onnx = need("onnx")
NAMES_OF_ONNX = ("", "ai.onnx")
ANY = 1 << 20  # a number of inputs beyond this one stands for all
UNTYPED, TYPE_NAMES = onnx.AttributeProto.UNDEFINED, onnx.AttributeProto.AttributeType.Name


class NodeError(ValueError):
    """A node that no Caffe2 operators were found for. `node` is its name, `type` its operator, `reason` a sentence.

    `needs` are inputs of the model whose values would help, as constants.
    """

    def __init__(self, node: Node, reason: str, index: int | None = None, needs: Sequence[str] = ()):
        self.node, self.type, self.reason, self.needs = node.name, node.type, reason, tuple(needs)
        number = "" if index is None else f"node {index}, "
        super().__init__(f"{number}{node.type} {node.name!r}: {reason}")


class Node:
    """One node: `type`, `domain`, names of inputs and outputs ("" for one left out), and its version of ONNX.

    `node["axis"]` is an attribute: a number, text, list, array (of a tensor) or GraphProto; where it is not given the
    default of this version, None where there is none.
    """

    def __init__(self, proto: Any, opset: int, outer: Mapping[str, Any] | None = None):
        self.proto, self.opset = proto, opset
        self.type, self.domain = str(proto.op_type), "" if proto.domain in NAMES_OF_ONNX else str(proto.domain)
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.name = proto.name or next((name for name in proto.output if name), proto.op_type)
        self.env: dict[str, Any] = {}  # the Values that its bodies may read, by name
        self._attributes = {}
        for attribute in proto.attribute:
            if attribute.ref_attr_name:  # of the function that this node stands in
                if attribute.ref_attr_name in (outer or {}):
                    self._attributes[attribute.name] = (outer or {})[attribute.ref_attr_name]
            else:
                self._attributes[attribute.name] = attribute

    def __getitem__(self, name: str) -> Any:
        if name in self._attributes:
            return value_of(self._attributes[name])
        schema = self.schema
        if schema is None or name not in schema.attributes:
            return None
        default = schema.attributes[name].default_value
        return value_of(default) if default.type else None

    def check(self) -> None:
        """Raises NotPortable for inputs and attributes that its version of ONNX doesn't allow."""
        schema = self.schema
        if schema is None:
            return
        least, most = schema.min_input, schema.max_input
        if not least <= len(self.inputs) <= most:
            wanted = least if least == most else f"at least {least}" if most > ANY else f"{least} to {most}"
            raise NotPortable(f"has {len(self.inputs)} inputs, wants {wanted}")
        for formal, given in zip(schema.inputs, self.inputs):
            if not given and formal.option == onnx.defs.OpSchema.FormalParameterOption.Single:
                raise NotPortable(f"its input {formal.name} is left out")
        for name, attribute in schema.attributes.items():
            kind = int(attribute.type)
            if attribute.required and name not in self._attributes:
                raise NotPortable(f"{name} is missing")
            if name in self._attributes and self._attributes[name].type not in (kind, UNTYPED):
                found, wanted = (TYPE_NAMES(k) for k in (self._attributes[name].type, kind))
                raise NotPortable(f"{name} is of type {found}, wants {wanted}")

    def has(self, name: str) -> bool:
        """Whether the node gives this attribute."""
        return name in self._attributes

    def wants(self, output: int) -> bool:
        """Whether an output is not left out."""
        return output < len(self.outputs) and bool(self.outputs[output])

    @property
    def attributes(self) -> dict[str, Any]:
        """The AttributeProtos, by name; with the defaults of a function's attributes."""
        found = dict(self._attributes)
        for name, attribute in (self.schema.attributes if self.schema else {}).items():
            if attribute.default_value.type:
                found.setdefault(name, attribute.default_value)
        return found

    @property
    def schema(self) -> Any:
        """What ONNX says of the operator, None where it has none of that name."""
        return schema_of(self.type, self.opset, self.domain)

    def resolved(self, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        """A NodeProto with these names, and with the attributes that its function was called with."""
        made = onnx.NodeProto(op_type=self.type, domain=self.domain, input=inputs, output=outputs)
        for name, attribute in self._attributes.items():
            made.attribute.add().CopyFrom(attribute)
            made.attribute[-1].name = name
            made.attribute[-1].ref_attr_name = ""
        return made


@cache
def schema_of(type_name: str, opset: int, domain: str = "") -> Any:
    """The schema of an operator in a version of ONNX, None where there is none."""
    try:
        return onnx.defs.get_schema(type_name, opset if not domain else 1, domain)
    except onnx.defs.SchemaError:
        return None


def value_of(attribute: Any) -> Any:
    """An AttributeProto as a Python value."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return array_of(value)
    if isinstance(value, onnx.SparseTensorProto):
        return dense(value)
    if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__"):
        return value
    return [v.decode() if isinstance(v, bytes) else v for v in value]


def array_of(tensor: Any, folder: str = "") -> np.ndarray[Any, Any]:
    """A TensorProto as an array; text as bytes."""
    try:
        array: np.ndarray[Any, Any] = onnx.numpy_helper.to_array(tensor, folder)
    except (ValueError, TypeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"tensor {tensor.name!r} of the model: {error}") from error
    if array.dtype == object or array.dtype.kind in "US":
        flat = [v.encode() if isinstance(v, str) else bytes(v) for v in array.reshape(-1)]
        array = np.empty(len(flat), object)
        array[:] = flat
        array = array.reshape(tuple(tensor.dims))
    return array


def dense(tensor: Any) -> np.ndarray[Any, Any]:
    """A SparseTensorProto as an array with the zeros in it."""
    values, places = array_of(tensor.values), array_of(tensor.indices)
    array = np.zeros(tuple(tensor.dims), values.dtype)
    array[np.unravel_index(places, array.shape) if places.ndim == 1 else tuple(places.T)] = values
    return array


def needed(nodes: Sequence[Any], wanted: Sequence[str]) -> list[Any]:
    """The NodeProtos that these values need, in order."""
    names, kept = set(wanted), []
    for node in reversed(nodes):
        if names & set(node.output):
            kept.append(node)
            names |= _reads(node)
    return kept[::-1]


def _reads(node: Any) -> set[str]:
    """The names that a node and its bodies read."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names |= {output.name for output in graph.output}.union(*map(_reads, graph.node))
    return names
