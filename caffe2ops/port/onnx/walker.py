"""The walk over a net: operator by operator, the rules write nodes, and blobs get the values that these make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.dataflow import read_by_operator, written_by
from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.errors import OperatorError, did_you_mean
from caffe2ops.infer import TensorSpec, Unknown
from caffe2ops.operator import Operator
from caffe2ops.port import nets
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.model import CUSTOM_DOMAIN, OnnxModel, Step, walk
from caffe2ops.port.onnx.nodes import FOLDABLE
from caffe2ops.port.onnx.rules import exact_rules, rules
from caffe2ops.port.values import Graph, NotPortable, Value
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace

# Operators without inputs that give the same tensor at every run.
CONSTANTS = frozenset(("ConstantFill", "DiagonalFill", "Float16ConstantFill", "RangeFill"))
# Operators that run nets: their rules walk these.
BODIES = frozenset(("Do", "If", "ONNXWhile", "RecurrentNetwork", "While"))
# Operators whose answer does not follow from their inputs alone.
UNFOLDED = BODIES | {"Dropout", "PackedInt8BGRANHWCToNCHWCStylizerPreprocess"}


def is_given(op: OperatorDef) -> bool:
    """Whether an operator gives a tensor that its arguments hold."""
    return op.type.startswith(("GivenTensor", "Int8Given")) and not op.input


class Walker:
    """One export: the state of the walk."""

    def __init__(
        self, net: NetDef, workspace: Workspace, parameters: dict[str, Any], shapes: dict[str, Any],
        outputs: tuple[str, ...], opset: int, allow_custom: bool, declared: bool, exact_int8: bool,
    ):  # fmt: skip
        self.workspace, self.parameters, self.allow_custom = workspace, parameters, allow_custom
        self.rules = exact_rules() if exact_int8 else rules()
        self.notes: list[str] = []
        self.custom: list[str] = []
        self.steps: list[Step] = []
        graph = Graph(net.name or "net")
        g = Builder(opset, graph)
        g.walker = self
        g.names.update(name for op in net.op for name in (*op.input, *written_by(op)))
        g.names.update((*parameters, *shapes))
        env = {name: _input(name, value) for name, value in shapes.items()}
        graph.inputs += env.values()
        written = {name for op in net.op for name in written_by(op)}
        state = [name for name in parameters if name in written]
        for name, value in parameters.items():
            env[name] = _parameter(name, value, name in state)
        state = [name for name in state if env[name].dtype is not None]
        graph.inputs += [env[name] for name in state]
        self.outside = frozenset(env)  # the names of inputs and parameters
        self.fixed = set(env)
        self.read = {*outputs, *(name for op in net.op for name in read_by_operator(op))}
        self.last = {name: i for i, op in enumerate(net.op) for name in written_by(op)}
        self.walk(g, net, env)
        wanted = dict.fromkeys((*outputs, *state))
        optional = [name for name in state if name not in outputs] if declared else [*wanted]
        for name in [name for name in optional if name not in env or env[name].dtype is None]:
            self.notes.append(f"{name!r} is left out: it holds nothing that ONNX could give out")
            del wanted[name]
        if not wanted:
            raise NotPortable(f"net {net.name!r} gives out nothing; name outputs (--output)")
        given = {name: self._given_out(g, name, env) for name in wanted}
        graph.outputs += given.values()
        self._prune(graph)
        self.model = OnnxModel(
            net, parameters, graph, given, opset, self.steps, list(dict.fromkeys(self.notes)),
            sorted(set(self.custom)), state, exact_int8,
        )  # fmt: skip

    def walk(
        self, g: Builder, net: NetDef, env: dict[str, Value], position: tuple[int, ...] = (), only: int | None = None
    ) -> None:
        """Adds the operators of a net, or only one of them; `env` maps blobs to their Values now."""
        for index, op_def in enumerate(net.op):
            if only not in (None, index):
                continue
            here = (*position, index)
            try:
                self.operator(g, op_def, env, here)
            except OperatorError as error:
                if error.net is not None:
                    raise
                raise self._error(str(error.reason), op_def, env, net, index) from error
            except (NotPortable, ValueError, TypeError, LookupError) as error:
                raise self._error(str(error) or repr(error), op_def, env, net, index) from error

    @staticmethod
    def _error(text: str, op: OperatorDef, env: Mapping[str, Value], net: NetDef, index: int) -> OperatorError:
        inputs = tuple(repr(env[name]) if name in env else f"{name} ?" for name in op.input)
        return OperatorError(text.removeprefix(f"{op.type}: "), op, inputs, net.name, index)

    def _prune(self, graph: Graph) -> None:
        """Takes nodes out that lead to no blob and no output."""
        needed = {id(v) for v in graph.outputs} | {id(v) for step in self.steps for _, v in step.outputs}
        kept = []
        for node in reversed(graph.nodes):
            if any(id(v) in needed for v in node.outputs):
                kept.append(node)
                needed.update(id(v) for inner in walk(Graph("", [node])) for v in inner.inputs)
        graph.nodes[:] = reversed(kept)

    def operator(self, g: Builder, op_def: OperatorDef, env: dict[str, Value], position: tuple[int, ...]) -> None:
        """Adds one operator, and gives its blobs their new Values."""
        if "DNNLOWP" in op_def.engine:
            raise NotPortable(
                "engine DNNLOWP works on 8 bits in its own way; operators of the default engine can be ported"
            )
        if op_def.engine == "GREEDY":
            raise NotPortable("engine GREEDY searches the range of each row; quantise the table in the init net")
        op = registry.create(op_def.replace(device_option=None, engine=""))
        for name in op_def.input:
            if name not in env:
                raise ValueError(f"reads {name!r}, which nothing has written{did_you_mean(name, env)}")
        inputs = [env[name] for name in op_def.input]
        g.scope = op_def.output[0] if op_def.output else f"{op_def.type}_{position[-1]}"
        specs = op.infer_specs([v.spec for v in inputs]) if op_def.type not in ("If", "While") else ()
        results: list[Value | None] | None = self._folded(g, op_def, inputs)
        if results is None:
            results = self._apply(g, op, inputs, specs, env, position)
        outputs = []
        for name, value, spec in zip(op_def.output, results, (*specs, *[TensorSpec()] * len(results))):
            if value is None:  # nobody reads it, or ONNX has no type for it
                env[name] = Value(name)
                continue
            _refine(op, value, spec)
            self.settle(g, name, value, position)
            env[name] = value
            outputs.append((name, value))
        self.steps.append(Step(position, op_def.type, outputs))

    def _apply(
        self, g: Builder, op: Operator, inputs: list[Value], specs: Sequence[TensorSpec], env: dict[str, Value],
        position: tuple[int, ...],
    ) -> list[Value | None]:  # fmt: skip
        found = self.rules.get(op.type)
        if found is None:
            if not self.allow_custom:
                raise NotPortable("has no form in ONNX here")
            return self._keep(g, op, inputs, specs)
        before = len(g.graph.nodes), len(self.notes)
        try:
            if op.type in BODIES:
                made = found(g, op, *inputs, env=env, position=position)
            else:
                made = found(g, op, *inputs)
        except NotPortable:
            if not self.allow_custom:
                raise
            del g.graph.nodes[before[0] :], self.notes[before[1] :]  # what the rule has begun
            return self._keep(g, op, inputs, specs)
        results = [] if made is None else list(made) if isinstance(made, (tuple, list)) else [made]
        return results + [None] * (op.n_outputs - len(results))

    def _keep(self, g: Builder, op: Operator, inputs: list[Value], specs: Sequence[TensorSpec]) -> list[Value | None]:
        """The operator as a node of the domain caffe2ops."""
        attributes = {}
        for name, value in op.op_def.args.items():
            if isinstance(value, NetDef) or (isinstance(value, tuple) and any(isinstance(v, NetDef) for v in value)):
                raise NotPortable(f"argument {name} holds a net, which a custom node cannot carry")
            attributes[name] = value.tolist() if isinstance(value, np.ndarray) else value
        made = g.op(op.type, *inputs, out=op.n_outputs, domain=CUSTOM_DOMAIN, **attributes)
        results = list(made) if isinstance(made, tuple) else [made]
        for value, spec in zip(results, specs):
            value.dtype = spec.dtype
            value.shape = [None if isinstance(d, Unknown) else d for d in spec.shape] if spec.has_rank else None
        self.custom.append(op.type)
        return results

    @staticmethod
    def _folded(g: Builder, op: OperatorDef, inputs: list[Value]) -> list[Value | None] | None:
        """The outputs of an operator whose inputs are all constants, computed now; None where that is not so."""
        if op.type in UNFOLDED or not op.output or any(v.array is None for v in inputs):
            return None
        if not (op.type in rules() if inputs else op.type in CONSTANTS or is_given(op)):
            return None
        workspace = Workspace()
        for name, value in zip(op.input, inputs):
            workspace.feed(name, held(value, value.array))
        workspace.run(op.replace(device_option=None, engine=""))
        values = [workspace.fetch(name) for name in op.output]
        if any(str(getattr(v, "dtype", "")) == "object" for v in values):
            return None
        largest = max([FOLDABLE, *(v.array.size for v in inputs if v.array is not None)])
        if inputs and any(v.size > largest for v in values if isinstance(v, np.ndarray)):
            return None
        made = [_parameter(name, value) for name, value in zip(op.output, values)]
        for each in made:
            each.settled = ""
        return list(made)

    def drawn(self, name: str, size: int, draw: Callable[[int], Any]) -> np.ndarray[Any, Any]:
        """Random numbers that stay; see `nets.drawn`."""
        return nets.drawn(self.parameters, self.workspace, name, size, draw)

    def is_read(self, name: str) -> bool:
        """Whether anything reads this blob at all, or it is given out."""
        return name in self.read

    def settle(self, g: Builder, name: str, value: Value, position: tuple[int, ...]) -> None:
        """Names a value after the blob that it is: the last version bears the blob's own name, the others a number."""
        if value.settled or not name:
            return
        last = len(position) == 1 and self.last[name] == position[0]
        if last and name not in self.fixed:
            self.fixed.add(name)
            value.name = name
        else:
            value.name = g.unique(f"{name}__out" if last else f"{name}__{'_'.join(map(str, position))}")
        value.settled = name

    def _given_out(self, g: Builder, name: str, env: dict[str, Value]) -> Value:
        """The Value that is given out for a blob; a copy where it is another blob's, an input or a constant."""
        if name not in env:
            raise ValueError(f"the net has no blob {name!r} to give out{did_you_mean(name, env)}")
        value = env[name]
        if not value.has_rank or value.dtype is None:
            raise NotPortable(
                f"output {name!r}: ONNX wants its number of dims, which nothing says; name others (--output)"
            )
        if value.settled == name and value.array is None and value not in g.graph.inputs:
            return value
        if value.array is not None and name not in self.outside:
            value.name = g.unique(f"{name}__value")
            self.fixed.discard(name)
        g.scope = name
        copy = g.own(value)
        copy.name = name if name not in self.fixed else g.unique(f"{name}__out")
        self.fixed.add(name)
        copy.settled = name
        return copy


def held(value: Value, array: Any) -> Any:
    """An array as a workspace holds what the Value stands for."""
    return array if value.quantised is None else QTensor(array, *value.quantised)


def _input(name: str, given: Any) -> Value:
    """The Value of an input that is like what was given."""
    quantised = None
    if isinstance(given, QTensor):
        given, quantised = given.data, (float(given.scale), int(given.zero_point))
    if isinstance(given, TensorSpec):
        if not given.has_rank or given.dtype is None:
            raise NotPortable(f"input {name!r}: {given}, wants dims and a dtype")
        dims: Any = [None if isinstance(d, Unknown) else d for d in given.shape]
        dtype = given.dtype
    elif hasattr(given, "dtype") and hasattr(given, "shape"):
        dims, dtype = given.shape, given.dtype
    elif isinstance(given, (list, tuple)):
        dims, dtype = given, np.dtype(np.float32)
    else:
        raise NotPortable(f"input {name!r}: {given!r}, wants an array, a TensorSpec, or a tuple of dims")
    if dtype.hasobject:
        raise NotPortable(f"input {name!r}: holds strings, which ONNX models here do not take")
    if any(d < 0 for d in dims if isinstance(d, (int, np.integer))):
        raise NotPortable(f"input {name!r}: a dim is below 0 in {tuple(dims)}; one that varies is a name ('N') or None")
    value = Value(name, dtype, [d if d is None or isinstance(d, str) else int(d) for d in dims])
    value.quantised, value.settled = quantised, name
    return value


def _parameter(name: str, held: Any, state: bool = False) -> Value:
    """The Value of a parameter: a constant, unless the net changes it."""
    data = held.data if isinstance(held, QTensor) else held
    if not isinstance(data, np.ndarray) or data.dtype == object:
        value = Value(name)
    else:
        value = Value(name, data.dtype, data.shape, None if state else data)
        value.default = data if state else None
    if isinstance(held, QTensor):
        value.quantised = (float(held.scale), int(held.zero_point))
    value.settled = name
    return value


def _refine(op: Operator, value: Value, spec: TensorSpec) -> None:
    """Adds what caffe2ops infers of an output; dtypes must agree."""
    if value.quantised or spec.dtype is None:
        return
    if value.dtype is None:
        value.dtype = spec.dtype
    elif value.dtype != spec.dtype:
        raise RuntimeError(f"the rule of {op.type} gives {value!r}, wants {spec}")
    if not spec.has_rank:
        return
    dims = [None if isinstance(d, Unknown) else int(d) for d in spec.shape]
    if value.has_rank and len(value.shape) != len(dims):
        raise RuntimeError(f"the rule of {op.type} gives {value!r}, wants {spec}")
    mine = value.shape if value.has_rank else [None] * len(dims)
    value.shape = [a if b is None else b for a, b in zip(mine, dims)]
