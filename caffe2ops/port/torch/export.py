"""to_torch: walks a net, operator by operator, and lets the rules write each one's statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby, zip_longest
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.build import Net
from caffe2ops.dataflow import inner_nets, read_by, read_by_operator, written_by
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError, did_you_mean
from caffe2ops.infer import UNKNOWN, TensorSpec, as_spec
from caffe2ops.placement import on_device
from caffe2ops.port.nets import fed_to, refuse_others, workspace_of
from caffe2ops.port.torch.forward import forward_of, without_drops
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.port.torch.rules import rules
from caffe2ops.port.torch.running import plain
from caffe2ops.port.torch.shapes import specs_of
from caffe2ops.port.torch.text import identifier, snake
from caffe2ops.port.torch.values import Quantised, Steps, Tensor
from caffe2ops.port.torch.writer import Several, Writer, dtype_name
from caffe2ops.port.values import NotPortable, Value
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace, definition_of

CONSTANTS = frozenset(("ConstantFill", "DiagonalFill", "Float16ConstantFill", "RangeFill"))

OTHER_NUMBERS = ("DNNLOWP", "GREEDY")  # engines that compute something else than the default one


def to_torch(
    net: NetDef | Net,
    init: NetDef | Mapping[str, Any] | Workspace | None = None,
    shapes: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = (),
) -> TorchModel:
    """A net, or what a builder holds, as the source of a torch.nn.Module, with its weights.

    `init`: the net that makes the parameters, the parameters by name, or a workspace that holds them. `shapes`: for
    every other blob that the net reads, an array like it, a TensorSpec, or dims (float32); a dim is a number, a name
    ("N") where it varies, or None. `outputs`: the blobs wanted; only what they need is ported. Of a net that trains
    itself, the operators before the first gradient operator are.

    Raises OperatorError for the first operator that can't be ported, ValueError for inputs whose shape is not given.
    """
    notes: list[str] = []
    shapes = dict(shapes or {})
    workspace = workspace_of(init)
    forward, wanted = forward_of(on_device(definition_of(net), DeviceOption()), outputs, notes)
    forward = without_drops(forward, notes)
    names = fed_to(forward, workspace, shapes)
    parameters = {name: workspace.fetch(name) for name in read_by(forward) if name not in names}
    refuse_others(forward, lambda op: op.type in rules() or _is_constant(op), "PyTorch", "keep this part in caffe2ops")
    inputs = [_input(name, shapes[name]) for name in names]
    feeds = {name: shapes[name] for name in names if isinstance(shapes[name], (np.ndarray, QTensor))}
    feeds = feeds if len(feeds) == len(names) else {}
    return _Export(forward, workspace, parameters, inputs, wanted, notes, feeds).model


def _is_constant(op: OperatorDef) -> bool:
    return not op.input and (op.type in CONSTANTS or op.type.startswith(("GivenTensor", "Int8Given")))


def _input(name: str, given: Any) -> Value:
    """An input that is like what was given."""
    if isinstance(given, Value):
        return given
    if isinstance(given, QTensor):
        value = Value(name, given.data.dtype, given.shape)
        value.quantised = given.scale, given.zero_point
        return value
    given = plain(given)
    given = np.asarray(given) if hasattr(given, "__array__") else given
    dims: Any = given
    dtype: np.dtype[Any] | None = np.dtype(np.float32)
    if isinstance(given, np.ndarray) or (isinstance(given, TensorSpec) and given.has_rank):
        dims, dtype = given.shape, given.dtype
    elif not (isinstance(given, (list, tuple)) and all(map(_is_dim, given))):
        raise ValueError(f"input {name!r}: {given!r} is no shape; wants an array, a TensorSpec, or dims like ('N', 3)")
    if dtype is None or dtype.kind == "O":
        raise ValueError(f"input {name!r}: holds strings, which PyTorch has no tensors of")
    return Value(name, dtype, [d if isinstance(d, (int, str)) else None for d in dims])


def _is_dim(given: Any) -> bool:
    return given is None or isinstance(given, str) or (isinstance(given, int) and given >= 0)


class _Export:
    """One export: the state of the walk."""

    def __init__(
        self, net: NetDef, workspace: Workspace, parameters: dict[str, Any], inputs: list[Value],
        wanted: tuple[str, ...], notes: list[str], feeds: dict[str, Any],
    ):  # fmt: skip
        self.feeds = feeds
        self.net, self.parameters, self.wanted = net, parameters, wanted
        self.w = Writer(parameters, workspace)
        self.w.source.notes += notes
        uses = Counter(name for op in net.op for name in read_by_operator(op))
        written = Counter(name for op in net.op for name in written_by(op))
        env: dict[str, Tensor] = {}
        arguments = []
        for value in inputs:
            local = self.w.locals.unique(identifier(value.name))
            arguments.append(local)
            steps = Steps(*value.quantised) if value.quantised else None
            dims = [d if isinstance(d, int) else UNKNOWN for d in value.shape]
            env[value.name] = Tensor(local, TensorSpec(dims, value.dtype), blob=value.name, steps=steps)
        for name, held in parameters.items():
            env[name] = self._parameter(name, held)
            alone = uses[name] == 1 and name not in wanted and getattr(held, "dtype", None) == np.float32
            env[name].owned, env[name].updated = alone and not written[name], alone and written[name] == 1
        self.scope = ""
        self.w.walk = self._walk
        self._walk(net, env)
        results = [str(env[name]) for name in wanted]
        meanings = {name: env[name].quantised for name in wanted if env[name].steps}
        self.model = TorchModel(net, parameters, inputs, arguments, wanted, results, self.w.source, meanings)

    def _walk(self, net: NetDef, env: dict[str, Tensor]) -> None:
        """Writes the operators of a net; `env` maps blobs to what they are now."""
        outer = self.w.env
        self.w.env = env
        scopes = _scopes(net)
        last = {name: index for index, op in enumerate(net.op) for name in read_by_operator(op)}
        last.update(dict.fromkeys(self.wanted, len(net.op)))
        for index, op in enumerate(net.op):
            inner = net is not self.net  # the net outside may read all
            read_later = {name for name in op.output if inner or last.get(name, -1) > index}
            try:
                if len(net.op) > 1:
                    self._comment(scopes[index])
                self._operator(op, env, read_later)
                self._observe(net, index, env)
            except (NotPortable, ValueError, TypeError, LookupError) as error:
                shown = tuple(f"{name} {env[name].spec}" if name in env else f"{name} ?" for name in op.input)
                raise OperatorError(str(error) or repr(error), op, shown, net.name, index) from error
        self.w.env = outer

    def _observe(self, net: NetDef, index: int, env: dict[str, Tensor]) -> None:
        """The number of dims that inference did not find, looked up in a run where inputs were given."""
        for name in net.op[index].output:
            if net is self.net and self.feeds and name in env and not env[name].spec.has_rank:
                found = self.observed[index].get(name)
                if found is not None:
                    env[name].spec = TensorSpec([UNKNOWN] * found.ndim, found.dtype)

    @cached_property
    def observed(self) -> list[dict[str, TensorSpec]]:
        """What each operator writes when the net runs on the inputs given."""
        workspace, steps = Workspace(), []
        for name, value in {**self.parameters, **self.feeds}.items():
            workspace.feed(name, value)
        for op in self.net.op:
            workspace.run(op)
            held = {name: workspace.fetch(name) for name in op.output}
            steps.append({name: as_spec(value) for name, value in held.items() if isinstance(value, np.ndarray)})
        return steps

    def _parameter(self, name: str, held: Any) -> Tensor:
        steps = Steps(held.scale, held.zero_point) if isinstance(held, QTensor) else None
        array = plain(held)
        if not isinstance(array, np.ndarray) or array.dtype.kind == "O":
            return Tensor(name, TensorSpec())
        return Tensor(lambda: self.w.parameter(name, array), TensorSpec(array.shape, array.dtype), array, name, steps)

    def _operator(self, op_def: OperatorDef, env: dict[str, Tensor], read_later: set[str]) -> None:
        if other := next((name for name in OTHER_NUMBERS if name in op_def.engine), ""):
            raise NotPortable(f"engine {other} has numbers of its own; operators of the default engine can be ported")
        op = registry.create(op_def.replace(device_option=None, engine=""))
        for name in op_def.input:
            if name not in env:
                raise ValueError(f"reads {name!r}, which nothing has written{did_you_mean(name, env)}")
        if _is_constant(op_def):
            self._constant(op_def, env)
            return
        inputs = [env[name] for name in op_def.input]
        nested = any(True for _ in inner_nets(op_def))
        if not nested and any(x.steps for x in inputs) and not op_def.type.startswith("Int8"):
            raise NotPortable("works on a quantised tensor; Int8Dequantize makes floats of it")
        specs = () if nested else specs_of(op, [x.spec for x in inputs])
        w = self.w
        w.op, w.wanted_outputs = op, frozenset(i for i, n in enumerate(op_def.output) if n in read_later)
        if nested:
            rules()[op.type](w, op, *inputs)
            return
        names = [self._local(name, op_def) if i in w.wanted_outputs else "_" for i, name in enumerate(op_def.output)]
        w.scope = next((n for n in names if n != "_"), identifier(op_def.type))
        made = rules()[op.type](w, op, *inputs)
        steps: dict[str, Steps] = {}
        if isinstance(made, Several):
            w.line(f"{', '.join(names)} = {made.text}")
        else:
            results = list(made) if type(made) in (tuple, list) else [made]  # a Quantised is one
            for name, text in zip_longest(names, results[: len(names)]):
                if isinstance(text, Quantised):
                    text, steps[name] = text
                if name != "_":
                    if text is None:
                        raise NotPortable(f"has no form in PyTorch here for its output {name}")
                    w.line(f"{name} = {text}")
        for name, local, spec in zip(op_def.output, names, specs):
            env.pop(name, None)
            if local != "_":
                env[name] = Tensor(local, spec, blob=name, steps=steps.get(local))

    def _constant(self, op_def: OperatorDef, env: dict[str, Tensor]) -> None:
        workspace = Workspace()
        workspace.run(op_def.replace(device_option=None, engine=""))
        name = op_def.output[0]
        held = workspace.fetch(name)
        steps = Steps(held.scale, held.zero_point) if isinstance(held, QTensor) else None
        array = plain(held)
        if not isinstance(array, np.ndarray) or array.dtype.kind == "O":
            raise NotPortable("fills with strings")
        dtype_name(array.dtype)
        env[name] = Tensor(lambda: self.w.constant(name, array), as_spec(array), array, name, steps)

    def _local(self, blob: str, op_def: OperatorDef) -> str:
        """A local for a blob; one that is written again is named after the operator, too."""
        name = identifier(blob)
        if name in self.w.locals.taken and blob in op_def.input:
            name = f"{name}_{snake(op_def.type)}"
        return self.w.locals.unique(name)

    def _comment(self, scope: str) -> None:
        """The scope that blobs are named by, where one of several operators begins or ends."""
        if scope != self.scope:
            self.scope = scope
            if self.w.source.statements:
                self.w.line("")
            if scope:
                self.w.line(f"# {scope}")


def _scopes(net: NetDef) -> list[str]:
    """For each operator the scope of its first output; none where only one operator in a row has it."""
    found = [op.output[0].rpartition("/")[0] if op.output else "" for op in net.op]
    runs = [list(run) for _, run in groupby(found)]
    return [scope if len(run) > 1 else "" for run in runs for scope in run]
