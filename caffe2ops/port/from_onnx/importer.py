"""from_onnx: walks a model, node by node, and lets the rules write each one's operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder, known
from caffe2ops.port.from_onnx.imported import Imported
from caffe2ops.port.from_onnx.node import Node, RefusedNode, array_of
from caffe2ops.port.from_onnx.rules import rules
from caffe2ops.port.onnx.values import Dim, NotPortable, Value
from caffe2ops.port.packages import need

onnx = need("onnx")
OLDEST = 6
FOLDABLE = 1 << 20  # elements of a result that is computed at once, unless an input is as large
# Nodes that are not computed at once though all their inputs are constants: random ones, and those with bodies.
RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
UNFOLDED = frozenset((*RANDOM, "Dropout", "If", "Loop", "Scan", "SequenceMap", "Constant"))


def from_onnx(
    model: Any,
    shapes: Mapping[str, Sequence[Dim]] | None = None,
    constants: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = (),
) -> Imported:
    """An ONNX model (a ModelProto or a file) as Caffe2 nets: one that makes the parameters, one that computes.

    `shapes`: dims of inputs, where the model leaves them open and a rule needs them. `constants`: values of inputs that
    never change; Caffe2 has many as arguments (the axes of a sum) that are inputs in ONNX. `outputs`: the outputs wanted
    (default: all). Raises RefusedNode for the first node that Caffe2's operators can't express, ValueError for a model
    of a version before 6 and for names that it doesn't have.
    """
    folder = ""
    if isinstance(model, (str, Path)):
        folder, model = str(Path(model).parent), onnx.load(str(model))
    return _Import(model, folder, dict(shapes or {}), dict(constants or {}), outputs).imported


class _Import:
    """One import: the state of the walk."""

    def __init__(self, model: Any, folder: str, shapes: dict[str, Any], constants: dict[str, Any], outputs: Sequence[str]):
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), onnx.defs.onnx_opset_version())
        if self.opset < OLDEST:
            raise ValueError(f"the model is of opset {self.opset}, wants {OLDEST} or later; onnx.version_converter helps")
        self.outer: Mapping[str, Any] | None = None
        self.functions = {(f.domain, f.name): f for f in model.functions}
        graph = model.graph
        wanted = list(outputs or (o.name for o in graph.output))
        nodes = self._needed(list(graph.node), wanted)
        g = Builder()
        g.walker = self
        self.types = _types(model)
        env: dict[str, Value] = {}
        for tensor in graph.initializer:
            env[tensor.name] = g.constant(constants.pop(tensor.name) if tensor.name in constants else array_of(tensor, folder), tensor.name)
        inputs: dict[str, Value] = {}
        held = {name: np.asarray(value) for name, value in constants.items()}
        for info in graph.input:
            if info.name in constants:
                env[info.name] = g.constant(constants.pop(info.name), info.name)
            elif info.name not in env:
                env[info.name] = inputs[info.name] = _input(g, info, shapes.pop(info.name, None))
        if unknown := [*shapes, *constants]:
            raise ValueError(f"the model has no input {unknown[0]!r}; it has {', '.join(i.name for i in graph.input)}")
        self._refuse_unknown(nodes)
        self.walk(g, nodes, env)
        given = {name: self._given_out(g, name, env, inputs) for name in wanted}
        self.imported = Imported(model, g, inputs, given, graph.name or "net", held)

    @staticmethod
    def _needed(nodes: list[Any], wanted: Sequence[str]) -> list[Any]:
        """The nodes that these outputs need."""
        names, kept = set(wanted), []
        for node in reversed(nodes):
            if names & set(node.output):
                kept.append(node)
                names.update(_reads(node))
        return kept[::-1]

    def _refuse_unknown(self, nodes: Sequence[Any]) -> None:
        """Raises RefusedNode for the nodes that there is neither a rule nor a function for, all in one message."""
        found: dict[str, tuple[int, Node]] = {}
        for index, proto in enumerate(nodes):
            node = Node(proto, self.opset)
            if (node.domain or node.type not in rules()) and not self._may_have_function(node):
                found.setdefault(node.type, (index, node))
        if found:
            index, node = next(iter(found.values()))
            others = ", ".join(f"{kind} (node {i})" for kind, (i, _) in list(found.items())[1:])
            domain = f" of domain {node.domain!r}" if node.domain else ""
            raise RefusedNode(node, f"{node.type}{domain} has no form in Caffe2 here{f'; nor have {others}' if others else ''}",
                              index)  # fmt: skip

    def _may_have_function(self, node: Node) -> bool:
        if (node.domain, node.type) in self.functions:
            return True
        schema = node.schema
        return schema is not None and (schema.has_function or schema.has_context_dependent_function)

    # --- nodes ---

    def walk(self, g: Builder, nodes: Sequence[Any], env: dict[str, Value], outer: Mapping[str, Any] | None = None) -> None:
        """Adds what nodes say; `env` maps ONNX's names to Values, `outer` are attributes of the function around."""
        self.outer = outer
        for index, proto in enumerate(nodes):
            node = Node(proto, self.opset, outer)
            node.env = env
            g.scope = node.name if not g.inside else f"{g.inside}/{node.outputs[0] if node.outputs else node.type}"
            g.node = node.name
            try:
                missing = [name for name in node.inputs if name and name not in env]
                if missing:
                    raise NotPortable(f"reads {missing[0]!r}, which nothing gives")
                inputs = [env[name] if name else None for name in node.inputs]
                results = self.node(g, node, inputs, env)
            except NotPortable as error:
                raise RefusedNode(node, str(error), index) from error
            for name, value in zip(node.outputs, results):
                if name and value is None:
                    raise RefusedNode(node, f"its output {name!r} has no form in Caffe2", index)
                if name:
                    self.settle(g, name, value, outer is None)
                    env[name] = value

    def node(self, g: Builder, node: Node, inputs: list[Value | None], env: dict[str, Value]) -> Sequence[Value | None]:
        """The Values of a node's outputs."""
        folded = self._folded(g, node, inputs)
        if folded is not None:
            return folded
        found = None if node.domain else rules().get(node.type)
        reason = NotPortable(f"{node.type} has no form in Caffe2 here")
        if found is not None:
            count, names = len(g.steps), set(g.names.taken)
            try:
                made = found(g, node, *inputs)
                results = list(made) if isinstance(made, (list, tuple)) else [made]
                self._refine(node, inputs, results)
                if len(results) < len(node.outputs):
                    raise NotPortable(f"its output {node.outputs[len(results)]!r} has no form in Caffe2")
                return results
            except NotPortable as error:
                reason = error
                del g.steps[count:]
                g.names.taken = names
                g.constants.clear()
        function = self._function(node, inputs)
        if function is None:
            raise reason
        try:
            return self._call(g, node, function, inputs)
        except RefusedNode as error:
            raise NotPortable(f"{reason}; as a function: {error}" if found else str(error)) from error

    def _function(self, node: Node, inputs: Sequence[Value | None]) -> Any:
        """The FunctionProto of a node, of the model's own or of ONNX's; None where there is none."""
        if (node.domain, node.type) in self.functions:
            return self.functions[node.domain, node.type]
        schema = node.schema
        if schema is None:
            return None
        if schema.has_function:
            body = schema.get_function_with_opset_version(_nearest(schema.function_opset_versions, self.opset))
        elif schema.has_context_dependent_function:
            version = _nearest(schema.context_dependent_function_opset_versions, self.opset)
            names = [f"in{i}" if v is not None else "" for i, v in enumerate(inputs)]
            proto = node.resolved(names, [f"out{i}" if o else "" for i, o in enumerate(node.outputs)])
            types = [_type(v).SerializeToString() for v in inputs]
            body = schema.get_context_dependent_function_with_opset_version(version, proto.SerializeToString(), types)
        else:
            return None
        return onnx.FunctionProto.FromString(body) if body else None

    def _call(self, g: Builder, node: Node, function: Any, inputs: Sequence[Value | None]) -> list[Value | None]:
        """The nodes of a function in the place of the node that calls it."""
        env = {name: value for name, value in zip(function.input, inputs) if value is not None}
        attributes = {a.name: a for a in function.attribute_proto} | node.attributes
        inside, g.inside = g.inside, g.scope
        opset = self.opset
        self.opset = next((o.version for o in function.opset_import if o.domain in ("", "ai.onnx")), opset)
        nodes = []
        for proto in function.node:  # what is left out at the call is left out inside
            made = onnx.NodeProto()
            made.CopyFrom(proto)
            absent = set(function.input) - set(env)
            made.input[:] = ["" if name in absent else name for name in proto.input]
            nodes.append(made)
        try:
            self.walk(g, nodes, env, attributes)
        finally:
            g.inside, self.opset = inside, opset
        return [env.get(name) for name in function.output[: len(node.outputs)]]

    def body(self, g: Builder, graph: Any, env: dict[str, Value]) -> tuple[Builder, dict[str, Value]]:
        """A builder with the operators of a body without inputs, and its Values by name, those outside among them."""
        inner, own = Builder(g), dict(env)
        inner.walker, inner.inside = self, f"{g.scope}/{graph.name or 'body'}"
        self.fill(inner, graph, own)
        return inner, own

    def fill(self, inner: Builder, graph: Any, env: dict[str, Value]) -> None:
        """Adds the operators of a body, whose inputs stand in `env` already."""
        for tensor in graph.initializer:
            env[tensor.name] = inner.constant(array_of(tensor), f"{inner.inside}/{tensor.name}")
        outer = self.outer
        self.walk(inner, list(graph.node), env, outer)

    @staticmethod
    def declared(info: Any) -> Any:
        """The dims that a ValueInfo declares, None where it doesn't."""
        return _parts(info.type)[1] if info.type.HasField("tensor_type") else None

    # --- constants and shapes ---

    def _folded(self, g: Builder, node: Node, inputs: Sequence[Value | None]) -> list[Value | None] | None:
        """The results of a node whose inputs are all constants, by ONNX's own reference; None where that is not so."""
        given = [v for v in inputs if v is not None]
        if node.type in UNFOLDED or node.domain or not given or any(v.array is None for v in given):
            return None
        from onnx.reference import ReferenceEvaluator

        names = [f"in{i}" if v is not None else "" for i, v in enumerate(inputs)]
        outputs = [f"out{i}" if name else "" for i, name in enumerate(node.outputs)]
        graph = onnx.helper.make_graph(
            [node.resolved(names, outputs)], "fold", [onnx.helper.make_empty_tensor_value_info(n) for n in names if n],
            [onnx.helper.make_empty_tensor_value_info(n) for n in outputs if n],
        )  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)])
        try:
            with np.errstate(all="ignore"):
                feeds = {name: v.array for name, v in zip(names, inputs) if v is not None}
                results = [np.asarray(r) for r in ReferenceEvaluator(model).run(None, feeds)]
        except Exception:  # whatever it can't do is left to the rule
            return None
        largest = max(FOLDABLE, *(v.array.size for v in given if v.array is not None))
        if any(r.size > largest or r.dtype.kind not in "fiub" for r in results):
            return None
        found = iter(results)
        try:
            return [g.constant(next(found)) if name else None for name in node.outputs]
        except NotPortable:
            return None

    def _refine(self, node: Node, inputs: Sequence[Value | None], results: Sequence[Value | None]) -> None:
        """Adds what ONNX infers of the results to what caffe2ops does; dtypes must agree."""
        inferred = _inferred(node, inputs, self.opset)
        for i, value in enumerate(results):
            if value is None or i >= len(node.outputs) or value in inputs:
                continue
            for dtype, shape in (inferred.get(f"out{i}", (None, None)), self.types.get(node.outputs[i], (None, None))):
                if dtype is not None and value.dtype is not None and dtype != value.dtype:
                    raise NotPortable(f"Caffe2 gives {value.dtype}, ONNX {dtype}")
                value.dtype = dtype if value.dtype is None else value.dtype
                if shape is None:
                    continue
                if not value.has_rank:
                    value.shape = shape
                elif len(shape) == value.rank and value.array is None:
                    value.shape = [b if a is None else a for a, b in zip(value.shape, shape)]

    # --- names ---

    def settle(self, g: Builder, name: str, value: Value, outermost: bool) -> None:
        """Names a value as the model does, as far as that name is free."""
        if value.settled or value.array is not None:
            return
        g.names.taken.discard(value.name)
        value.name = g.names.unique(name if outermost and not g.inside else f"{g.inside}/{name}")
        value.settled = outermost and not g.inside

    def _given_out(self, g: Builder, name: str, env: dict[str, Value], inputs: Mapping[str, Value]) -> Value:
        """The Value of an output; a copy where it is an input, a constant, or given out before."""
        if name not in env:
            raise ValueError(f"the model has no value {name!r} to give out")
        value = env[name]
        if value.array is None and value not in inputs.values() and value.name == "_".join(name.split()):
            return value
        g.scope = g.node = name
        copy: Value = g.Copy(value)
        self.settle(g, name, copy, True)
        return copy


def _nearest(versions: Sequence[int], opset: int) -> int:
    """The version of a function to take: the newest that this opset has, or else the oldest."""
    return max((v for v in versions if v <= opset), default=min(versions))


def _reads(node: Any) -> set[str]:
    """The names that a node and its bodies read."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names |= _reads(inner)
            names |= {o.name for o in graph.output}
    return names


def _input(g: Builder, info: Any, shape: Sequence[Dim] | None) -> Value:
    if not info.type.HasField("tensor_type"):
        raise ValueError(f"input {info.name!r}: is a {info.type.WhichOneof('value')}, Caffe2 has tensors only")
    dtype, dims = _parts(info.type)
    try:
        known(dtype)
    except NotPortable as error:
        raise ValueError(f"input {info.name!r}: {error}") from None
    value = Value(g.names.unique(info.name), dtype, dims if shape is None else shape)
    value.settled = True
    return value


def _types(model: Any) -> dict[str, tuple[Any, Any]]:
    """dtype and dims of the values of a model by name, as far as inference over the whole knows them."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (ValueError, RuntimeError):  # too large for one message, or wrong: then node by node has to do
        graph = model.graph
    infos = [i for i in (*graph.value_info, *graph.output) if i.type.HasField("tensor_type")]
    return {info.name: _parts(info.type) for info in infos}


def _inferred(node: Node, inputs: Sequence[Value | None], opset: int) -> dict[str, tuple[Any, Any]]:
    """dtype and dims of a node's outputs out0, out1, ..., by ONNX's inference; nothing where that fails."""
    schema = node.schema
    if schema is None or any(v is not None and v.dtype is None for v in inputs):
        return {}
    names = [f"in{i}" if v is not None else "" for i, v in enumerate(inputs)]
    proto = node.resolved(names, [f"out{i}" if name else "" for i, name in enumerate(node.outputs)])
    types = {name: _type(v) for name, v in zip(names, inputs) if v is not None}
    small = [(name, v.array) for name, v in zip(names, inputs) if v is not None and v.array is not None]
    data = {name: onnx.numpy_helper.from_array(a, name) for name, a in small if a.size <= 64 and a.dtype != object}
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[onnx.helper.make_opsetid("", opset)]
        )
    except (ValueError, RuntimeError):
        return {}
    return {name: _parts(kind) for name, kind in found.items() if kind.HasField("tensor_type")}


def _type(value: Value | None) -> Any:
    if value is None:
        return onnx.TypeProto()
    code = onnx.TensorProto.STRING if value.dtype == object else onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_type_proto(code, value.shape if value.has_rank else None)


def _parts(kind: Any) -> tuple[Any, Any]:
    """dtype and dims of a TypeProto."""
    tensor = kind.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape"):
        return dtype, None
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim]
    return dtype, dims
