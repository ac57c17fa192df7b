"""Adding nodes to a graph: one method a node, constants folded, shapes inferred as nodes are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from caffe2ops.port.packages import need
from caffe2ops.port.values import Dim, Graph, Node, NotPortable, Value

onnx = need("onnx")
FOLDABLE = 1 << 16  # elements of a result that is computed at once, unless an input is as large
# The result is a constant whatever the inputs hold only for these; random ones and bodies are left alone.
UNFOLDED = frozenset(("If", "Loop", "Scan", "ConstantOfShape", "QuantizeLinear", "DequantizeLinear"))


class Nodes:
    """Adds nodes to a graph. `g.Relu(x)` adds one and gives its output; `g.TopK(x, k, out=2)` gives two.

    Inputs are Values, None (left out), arrays and NumPy numbers (constants), lists of whole numbers (int64 constants),
    and Python numbers, which take the dtype of the first Value that is not bool.
    """

    def __init__(self, opset: int, graph: Graph, parent: Nodes | None = None):
        self.opset, self.graph = opset, graph
        self.scope = ""
        self.parent = parent
        self.names: set[str] = parent.names if parent else set()
        self.constants: dict[Any, Value] = parent.constants if parent else {}
        self.walker: Any = parent.walker if parent else None  # what walks the nets that operators hold

    def note(self, text: str) -> None:
        """Tells the user what the model cannot do as Caffe2 did."""
        self.walker.notes.append(text)

    def is_wanted(self, op: Any, output: int) -> bool:
        """Whether anybody reads an output of an operator; where not, a rule may give None for it."""
        return output < op.n_outputs and self.walker.is_read(op.op_def.output[output])

    # --- values ---

    def unique(self, name: str) -> str:
        """The name, with a number behind it where it is taken."""
        if name in self.names:
            n = 2
            while f"{name}_{n}" in self.names:
                n += 1
            name = f"{name}_{n}"
        self.names.add(name)
        return name

    def constant(self, array: Any, name: str = "") -> Value:
        """A constant of this array; equal small ones are one."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 and not name else None
        if key is None or key not in self.constants:
            made = Value(self.unique(name or f"{self.scope}/constant"), array.dtype, array.shape, array)
            if key is None:
                return made
            self.constants[key] = made
        return self.constants[key]

    def value(self, x: Any, like: Any = None) -> Value:
        """A Value of whatever an input may be given as."""
        if isinstance(x, Value):
            return x
        if isinstance(x, (np.ndarray, np.generic)):
            return self.constant(x)
        if isinstance(x, (list, tuple)):
            return self.constant(np.asarray(x, np.int64))
        return self.constant(np.asarray(x, like))

    # --- nodes ---

    def __getattr__(self, type_name: str) -> Any:
        if not type_name[:1].isupper():
            raise AttributeError(type_name)
        return lambda *inputs, **attributes: self.op(type_name, *inputs, **attributes)

    def op(
        self, type_name: str, *inputs: Any, out: int | Sequence[bool] = 1, domain: str = "", **attributes: Any
    ) -> Any:
        """Adds a node. `out` is the number of outputs, or which of them are wanted. Attributes of None are left out."""
        like = next((x.dtype for x in inputs if isinstance(x, Value) and x.dtype != bool and x.dtype is not None), None)
        values = [None if x is None else self.value(x, like) for x in inputs]
        while values and values[-1] is None:
            values.pop()
        for value in values:
            if value is not None and value.dtype is None:
                raise NotPortable(f"{value.name!r} holds strings, or what ONNX has no type for")
        attributes = {name: value for name, value in attributes.items() if value is not None}
        wanted = [True] * out if isinstance(out, int) else list(out)
        base = f"{self.scope}/{type_name}"
        outputs = [Value("") if want else None for want in wanted]
        node = Node(type_name, values, outputs, attributes, domain)
        if not domain:
            self._check(node)
            folded = self._folded(node)
            if folded is not None:
                results = [self.constant(array) for array in folded]
                return results[0] if len(results) == 1 else tuple(results)
            self._infer(node)
        node.name = self.unique(base)
        for i, output in enumerate(o for o in outputs if o is not None):
            output.name = self.unique(f"{node.name}:{i}" if i else f"{node.name}:0")
        self.graph.nodes.append(node)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _check(self, node: Node) -> None:
        schema = schema_of(node.type, self.opset)
        unknown = sorted(set(node.attributes) - set(schema.attributes))
        if unknown:
            raise NotPortable(
                f"{node.type} of opset {self.opset} has no attribute {unknown[0]!r}; ask for a newer opset"
            )

    def _folded(self, node: Node) -> list[Any] | None:
        """The results of a node whose inputs are all constants and small enough."""
        arrays = [None if v is None else v.array for v in node.inputs]
        if node.type in UNFOLDED or not arrays or any(v is not None and v.array is None for v in node.inputs):
            return None
        if any(isinstance(value, Graph) for value in node.attributes.values()) or None in node.outputs:
            return None
        if any(v is not None and v.quantised for v in node.inputs):
            return None
        from onnx.reference import ReferenceEvaluator

        proto = make_node(node, *number(node))
        infos = [
            [onnx.helper.make_empty_tensor_value_info(n) for n in names if n] for names in (proto.input, proto.output)
        ]
        model = onnx.helper.make_model(
            onnx.helper.make_graph([proto], "fold", *infos),
            opset_imports=[onnx.helper.make_opsetid("", self.opset)],
        )
        feeds = {name: array for name, array in zip(proto.input, arrays) if array is not None}
        try:
            with np.errstate(all="ignore"):
                results = [np.asarray(r) for r in ReferenceEvaluator(model).run(None, feeds)]
        except Exception:  # what the evaluator cannot compute stays a node
            return None
        largest = max(FOLDABLE, *(a.size for a in arrays if a is not None))
        return results if all(r.size <= largest for r in results) else None

    def _infer(self, node: Node) -> None:
        """Dtypes and shapes of the outputs, by ONNX's own inference. Raises ValueError where the node is wrong."""
        if any(isinstance(value, Graph) for value in node.attributes.values()):
            return
        names, out_names = number(node)
        types, data = {}, {}
        for name, value in zip(names, node.inputs):
            if value is None:
                continue
            if value.dtype is None:
                return
            shape = value.shape if value.has_rank else None
            types[name] = onnx.helper.make_tensor_type_proto(elem_type(value.dtype), shape)
            if value.array is not None and value.array.size <= 64:
                data[name] = onnx.numpy_helper.from_array(value.array, name)
        try:
            found = onnx.shape_inference.infer_node_outputs(
                schema_of(node.type, self.opset), make_node(node, names, out_names), types, data,
                opset_imports=[onnx.helper.make_opsetid("", self.opset)], ir_version=10,
            )  # fmt: skip
        except onnx.shape_inference.InferenceError as error:
            raise ValueError(f"ONNX refuses {node.type} of {', '.join(map(repr, node.inputs))}: {error}") from error
        for name, value in zip(out_names, node.outputs):
            if value is not None and name in found:
                tensor = found[name].tensor_type
                value.dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
                value.shape = [dim_of(d) for d in tensor.shape.dim] if tensor.HasField("shape") else None

    # --- bodies ---

    @contextmanager
    def body(self, name: str) -> Iterator[Any]:
        """A builder for a subgraph; it may use the values of this one."""
        inner = type(self)(self.opset, Graph(self.unique(f"{self.scope}/{name}")), self)
        inner.scope = inner.graph.name
        yield inner

    def argument(self, name: str, dtype: Any, shape: Sequence[Dim] | None) -> Value:
        """An input of this subgraph."""
        made = Value(self.unique(f"{self.scope}/{name}"), dtype, shape)
        self.graph.inputs.append(made)
        return made

    def loop(
        self,
        carried: Sequence[Value],
        step: Callable[..., Any],
        condition: Value | None = None,
        count: Value | None = None,
    ) -> list[Value]:
        """A Loop that runs `count` times, or while the condition holds.

        `step(body, iteration, *carried)` gives the next condition, the next carried values, and values that are
        stacked; all of them come out.
        """
        with self.body("loop") as body:
            iteration = body.argument("iteration", np.int64, [])
            goes_on = body.argument("condition", bool, [])
            inside = [body.argument("carried", v.dtype, v.shape) for v in carried]
            following, changed, found = step(body, iteration, *inside)
            kept = goes_on if following is None else following
            body.graph.outputs += [body.own(v) for v in (kept, *changed, *found)]
        results = [Value("", v.dtype, v.shape) for v in carried]
        results += [Value("", v.dtype, [None, *v.shape]) for v in found]
        start = self.value(np.True_) if condition is None else condition
        node = Node("Loop", [count, start, *carried], list(results), {"body": body.graph})
        node.name = self.unique(f"{self.scope}/Loop")
        for i, result in enumerate(results):
            result.name = self.unique(f"{node.name}:{i}")
        self.graph.nodes.append(node)
        return results

    def own(self, value: Value) -> Value:
        """A copy of a value by a node of this graph, as a body must give out."""
        made = self.op("Identity", Value(value.name, value.dtype, value.shape if value.has_rank else None))
        self.graph.nodes[-1].inputs = [value]
        made.quantised = value.quantised
        return made


@cache
def schema_of(type_name: str, opset: int) -> Any:
    """The schema of an operator as that opset has it. Raises NotPortable where the opset is too old for it."""
    try:
        return onnx.defs.get_schema(type_name, opset, "")
    except onnx.defs.SchemaError:
        raise NotPortable(
            f"needs ONNX's {type_name}, which opset {opset} does not have; ask for a newer opset"
        ) from None


def elem_type(dtype: Any) -> int:
    """ONNX's number of a dtype. Raises NotPortable."""
    if np.dtype(dtype) == object:
        raise NotPortable("works on strings; drop this part of the net (--output names blobs before it)")
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def dim_of(dim: Any) -> Dim:
    """A dim of a TensorShapeProto."""
    return int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or None


def number(node: Node) -> tuple[list[str], list[str]]:
    """Names that do not depend on the graph."""
    return (
        ["" if v is None else f"i{i}" for i, v in enumerate(node.inputs)],
        ["" if v is None else f"o{i}" for i, v in enumerate(node.outputs)],
    )


def make_node(node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """The NodeProto of a node under these names."""
    attributes = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.attributes.items()
    }
    return onnx.helper.make_node(node.type, inputs, outputs, name=node.name, domain=node.domain, **attributes)
