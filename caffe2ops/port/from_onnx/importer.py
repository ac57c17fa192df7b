"""from_onnx: walks a model, node by node, and lets the rules write each one's operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from caffe2ops.port.from_onnx import microsoft
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.imported import Imported
from caffe2ops.port.from_onnx.inference import computed, elements, fed, function_of, inferred, parts_of, types_of
from caffe2ops.port.from_onnx.int8 import Int8
from caffe2ops.port.from_onnx.node import Node, NodeError, array_of, dense, needed
from caffe2ops.port.from_onnx.rules import rules
from caffe2ops.port.from_onnx.values import NeedsConstant
from caffe2ops.port.packages import need
from caffe2ops.port.values import Dim, NotPortable, Value

onnx = need("onnx")
OLDEST = 6
FOLDABLE = 1 << 20  # elements of a result that is computed at once, unless an input is as large
# Nodes that are not computed at once though all their inputs are constants: random ones, those with bodies, sequences.
RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
SEQUENCES = ("SequenceConstruct", "SequenceEmpty", "SequenceMap", "SplitToSequence")
UNFOLDED = frozenset((*RANDOM, *SEQUENCES, "Dropout", "If", "Loop", "Scan", "Constant"))


def from_onnx(
    model: Any,
    shapes: Mapping[str, Sequence[Dim]] | None = None,
    constants: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = (),
    int8: bool = False,
) -> Imported:
    """An ONNX model (a ModelProto or a file) as two Caffe2 nets: one makes the parameters, the other computes.

    `shapes`: dims of inputs, where the model leaves them open and a rule needs them. `constants`: values of inputs that
    never change; Caffe2 has many as arguments (the axes of a sum) that are inputs in ONNX. `outputs`: those wanted (all
    by default). `int8`: what a quantised model computes in 8 bits becomes Caffe2's Int8 operators where these can say
    it; without, it is computed in floats, by ONNX's definition of quantising. Raises NodeError for the first node that
    Caffe2's operators can't express, ValueError for a model of a version before 6 and for names that it doesn't have.
    """
    folder = ""
    if isinstance(model, (str, Path)):
        folder, model = str(Path(model).parent), _loaded(str(model))
    return _Import(model, folder, dict(shapes or {}), dict(constants or {}), outputs, int8).imported


def _loaded(path: str) -> Any:
    try:
        return onnx.load(path)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{path}: no whole ONNX model: {error}") from error


class _Import:
    """One import: the state of the walk."""

    inputs: dict[str, Value]

    def __init__(
        self, model: Any, folder: str, shapes: dict[str, Any], constants: dict[str, Any], outputs: Sequence[str],
        int8: bool,
    ):  # fmt: skip
        self.opset = next(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), onnx.defs.onnx_opset_version()
        )
        if self.opset < OLDEST:
            raise ValueError(
                f"the model is of opset {self.opset}, wants {OLDEST} or later; onnx.version_converter helps"
            )
        self.notes: list[str] = []
        self.outer: Mapping[str, Any] | None = None
        self.int8 = Int8() if int8 else None
        self.functions = {(f.domain, f.name): f for f in model.functions}
        graph = model.graph
        wanted = list(outputs or (o.name for o in graph.output))
        if not wanted:
            raise ValueError("the model has no outputs")
        nodes = needed(graph.node, wanted)
        g = Builder()
        g.walker = self
        self.types = types_of(model, shapes)
        env: dict[str, Value] = {}
        for tensor in graph.initializer:
            env[tensor.name] = g.constant(
                constants.pop(tensor.name) if tensor.name in constants else array_of(tensor, folder), tensor.name
            )
        for sparse in graph.sparse_initializer:
            env[sparse.values.name] = g.constant(dense(sparse), sparse.values.name)
        inputs = self.inputs = {}
        held = {name: np.asarray(value) for name, value in constants.items()}
        for info in graph.input:
            if info.name in constants:
                env[info.name] = g.constant(constants.pop(info.name), info.name)
            elif info.name not in env:
                env[info.name] = inputs[info.name] = fed(g, info, shapes.pop(info.name, None))
        if unknown := [*shapes, *constants]:
            raise ValueError(f"the model has no input {unknown[0]!r}; it has {', '.join(i.name for i in graph.input)}")
        self._refuse_unknown(nodes)
        self.walk(g, nodes, env)
        given = {name: self._given_out(g, name, env, inputs) for name in wanted}
        g.prune(given.values())
        tensors = self.int8.finish(g, env) if self.int8 else {}
        notes = [*self.notes, *(self.int8.notes if self.int8 else ())]
        self.imported = Imported(model, g, inputs, given, graph.name or "net", held, notes, tensors)

    def _refuse_unknown(self, nodes: Sequence[Any]) -> None:
        """Raises NodeError for the nodes that there is neither a rule nor a function for, all in one message."""
        found: dict[str, tuple[int, Node]] = {}
        for index, proto in enumerate(nodes):
            node = Node(proto, self.opset)
            if (node.domain or node.type not in rules()) and not self._may_have_function(node):
                found.setdefault(node.type, (index, node))
        if found:
            index, node = next(iter(found.values()))
            others = ", ".join(f"{kind} (node {i})" for kind, (i, _) in list(found.items())[1:])
            domain = f" of domain {node.domain!r}" if node.domain else ""
            more = f"; nor have {others}" if others else ""
            raise NodeError(node, f"{node.type}{domain} has no form in Caffe2 here{more}", index)

    def _may_have_function(self, node: Node) -> bool:
        if (node.domain, node.type) in self.functions:
            return True
        if node.domain == microsoft.DOMAIN:
            return node.type in microsoft.OPERATORS
        schema = node.schema
        return schema is not None and (schema.has_function or schema.has_context_dependent_function)

    # --- nodes ---

    def walk(
        self, g: Builder, nodes: Sequence[Any], env: dict[str, Value], outer: Mapping[str, Any] | None = None
    ) -> None:
        """Adds what nodes say; `env` maps ONNX's names to Values, `outer` are attributes of the function around."""
        for index, proto in enumerate(nodes):
            self.outer = outer  # what a walk of a function or body inside has changed
            node = Node(proto, self.opset, outer)
            node.env = env
            g.scope = node.name if not g.inside else f"{g.inside}/{node.outputs[0] if node.outputs else node.type}"
            g.node = node.name
            try:
                missing = [name for name in node.inputs if name and name not in env]
                if missing:
                    raise NotPortable(f"reads {missing[0]!r}, which nothing gives")
                node.check()
                inputs = [env[name] if name else None for name in node.inputs]
                results = self.node(g, node, inputs, env)
            except NotPortable as error:
                needs = self._needs(g, error)
                hint = f"; give the value of {', '.join(map(repr, needs))} as a constant" if needs else ""
                raise NodeError(node, f"{error}{hint}" if outer is None else str(error), index, needs) from error
            for name, value in zip(node.outputs, results):
                if not name:
                    continue
                if value is None:
                    raise NodeError(node, f"its output {name!r} has no form in Caffe2", index)
                self.settle(g, name, value, outer is None)
                env[name] = value

    def node(self, g: Builder, node: Node, inputs: list[Value | None], env: dict[str, Value]) -> Sequence[Value | None]:
        """The Values of a node's outputs."""
        folded = self._folded(g, node, inputs)
        if folded is not None:
            if self.int8:
                self.int8.remember(node, inputs, folded)
            return folded
        found = None if node.domain else rules().get(node.type)
        reason = NotPortable(f"{node.type} has no form in Caffe2 here")
        if found is not None:
            count, names = len(g.steps), set(g.names.taken)
            try:
                made = found(g, node, *inputs)
                results = list(made) if isinstance(made, (list, tuple)) else [made]
                self._refine(g, node, inputs, results)
                if self.int8:
                    self.int8.see(g, node, inputs, results)
                if len(results) < len(node.outputs):
                    raise NotPortable(f"its output {node.outputs[len(results)]!r} has no form in Caffe2")
                return results
            except NotPortable as error:
                reason = error
                del g.steps[count:]
                g.names.taken = names
                g.constants.clear()
        function = function_of(node, inputs, self.opset, self.functions)
        if function is None:
            raise reason
        try:
            return self._call(g, node, function, inputs)
        except NodeError as error:
            whose = (
                reason if isinstance(reason, NeedsConstant) else error
            )  # of which the inputs that would help are told
            raise NotPortable(f"{reason}; as a function: {error}" if found else str(error)) from whose

    def _needs(self, g: Builder, error: BaseException) -> list[str]:
        """The inputs of the model whose values would help."""
        if isinstance(error, NeedsConstant):
            sources = g.sources(error.value)
            return [name for name, value in self.inputs.items() if value in sources]
        cause = error.__cause__
        return list(cause.needs) if isinstance(cause, NodeError) else self._needs(g, cause) if cause else []

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
        self.walk(inner, list(graph.node), env, self.outer)

    @staticmethod
    def declared(info: Any) -> Any:
        """The dims that a ValueInfo declares, None where it doesn't."""
        return parts_of(info.type)[1] if info.type.HasField("tensor_type") else None

    # --- constants and shapes ---

    def _folded(self, g: Builder, node: Node, inputs: Sequence[Value | None]) -> list[Value | None] | None:
        """The results of a node whose inputs are all constants; None where that is not so."""
        given = [v for v in inputs if v is not None]
        if node.type in UNFOLDED or node.domain or not given or any(v.array is None for v in given):
            return None
        results = computed(node, inputs, self.opset)
        largest = max(FOLDABLE, *(v.array.size for v in given if v.array is not None))
        if results is None or any(r.size > largest or r.dtype.kind in "OUSMm" for r in results):
            return None
        found = iter(results)
        try:
            return [g.constant(next(found)) if name else None for name in node.outputs]
        except NotPortable:
            return None

    def _refine(self, g: Builder, node: Node, inputs: Sequence[Any], results: list[Value | None]) -> None:
        """Adds what ONNX infers of the results to what caffe2ops does; dtypes must agree."""
        found, whole = inferred(node, inputs, self.opset), {} if g.inside else self.types
        for i, value in enumerate(results):
            if value is None or i >= len(node.outputs) or value in inputs:
                continue
            for dtype, shape in (found.get(f"out{i}", (None, None)), whole.get(node.outputs[i], (None, None))):
                if dtype is not None and value.dtype is not None and dtype != value.dtype:
                    raise NotPortable(f"Caffe2 gives {value.dtype}, ONNX {dtype}")
                value.dtype = dtype if value.dtype is None else value.dtype
                if shape is None:
                    continue
                if not value.has_rank:
                    value.shape = shape
                elif len(shape) == value.rank and value.array is None:
                    value.shape = [b if a is None else a for a, b in zip(value.shape, shape)]

        first = results[0] if results else None
        if first is not None and first.array is None and first.dtype == np.int64 and first not in inputs:
            first.dims = elements(node, inputs)
            if first.dims and first.known and all(isinstance(d, int) for d in first.dims):
                results[0] = g.constant(np.asarray(first.dims, np.int64).reshape(first.shape))

    # --- names ---

    def settle(self, g: Builder, name: str, value: Value, outermost: bool) -> None:
        """Names a value as the model does, as far as that name is free."""
        if value.settled or value.array is not None:
            return
        g.names.taken.discard(value.name)
        value.name = g.names.unique(name if outermost and not g.inside else f"{g.inside}/{name}")
        value.settled = value.name if outermost and not g.inside else ""

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
