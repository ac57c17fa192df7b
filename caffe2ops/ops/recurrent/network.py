"""RecurrentNetwork: a net run once for each time step, with blobs linked to rows of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef, Value
from caffe2ops.errors import GradientError
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.recurrent.steps import Link, StepWorkspaces, Unrolled
from caffe2ops.workspace import Blob

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker

EXECUTOR_WORKSPACES, PLAIN_WORKSPACES = 4, 2  # how many take turns where no backward pass will want them


class Recurrent(Operator):
    """Base: the arguments, which the gradient operator has too."""

    # fmt: off
    step_net: Value = Arg(doc="the net of one step, a NetDef or its text format")
    backward_step_net: Value = Arg(None, doc="the net of one step backwards; none where only the forward pass is run")
    recurrent_states: list[str] = Arg((), doc="blobs made for states: the rows of the initial state, then one a step")
    initial_recurrent_state_ids: list[int] = Arg((), ge=0, doc="which inputs these begin with: [D], [N, D], [L, N, D]")
    link_internal: list[str] = Arg((), doc="blobs of the step net that are rows of a sequence")
    link_external: list[str] = Arg((), doc="the sequence of each: an input or a state")
    link_offset: list[int] = Arg((), doc="which row in step 0; each step goes on by one")
    link_window: list[int] = Arg((), ge=0, doc="how many rows; 1 by default")
    backward_link_internal: list[str] = Arg((), doc="the same for the backward step net, one row each")
    backward_link_external: list[str] = Arg((), doc="the sequence of each")
    backward_link_offset: list[int] = Arg((), doc="which row in step 0")
    alias_src: list[str] = Arg((), doc="states that are given out")
    alias_dst: list[str] = Arg((), doc="the blob that each is given out as")
    alias_offset: list[int] = Arg((), doc="from which row on; negative: from the end")
    param: list[int] = Arg((), ge=0, doc="which inputs are parameters, whose gradient is summed over the steps")
    param_grads: list[str] = Arg((), doc="where the backward step net leaves these; by default under the final names")
    outputs_with_grads: list[int] = Arg((), ge=0, doc="which outputs get a gradient")
    recompute_blobs_on_backward: list[str] = Arg((), doc="blobs that all steps share: backward steps compute them anew")
    timestep: str = Arg("timestep", doc="the blob of the step net with the number of the step, int32[1]")
    enable_rnn_executor: bool = Arg(False, doc="asks Caffe2 for threads; here steps run in order all the same")
    # fmt: on

    _unrolled: Unrolled | None = None

    @property
    def inner_runs(self) -> int:
        """How many operators of step nets the last run ran."""
        return self._unrolled.operator_runs if self._unrolled else 0

    def net_of(self, name: str) -> NetDef:
        """The net in an argument. Raises ValueError for text that is none."""
        value = getattr(self, name)
        if isinstance(value, NetDef):
            return value
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"{name}: is {type(value).__name__}, wants a NetDef or its text format")
        from caffe2ops.formats import pbtxt

        try:
            net: NetDef = pbtxt.parse(value if isinstance(value, str) else value.decode(), (NetDef,))
        except ValueError as error:
            raise ValueError(f"{name}: Invalid NetDef: {error}") from None
        return net

    def columns(self, *names: str) -> list[tuple[Any, ...]]:
        """Arguments that are lists of equal length, side by side."""
        lists = [getattr(self, name) for name in names]
        if len(set(map(len, lists))) > 1:
            sizes = ", ".join(f"{name} has {len(values)}" for name, values in zip(names, lists))
            raise ValueError(f"{sizes}: mismatch, wants as many of each")
        return list(zip(*lists))

    def links(self) -> list[Link]:
        """The links of the forward pass."""
        windows = ("link_window",) if self.link_window else ()
        return [Link(*link) for link in self.columns("link_internal", "link_external", "link_offset", *windows)]

    def sequence(self, name: str, blob: Blob | None = None) -> np.ndarray:
        """The float tensor with rows in a blob of the operator's workspace."""
        blob = blob or self.workspace.find(name)
        value = None if blob is None else blob.value
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.dtype.itemsize < 4 or not value.ndim:
            raise TypeError(f"link_external: {blob or repr(name)} is no float tensor with rows")
        return value


class RecurrentNetwork(Recurrent):
    """Runs a step net once for each row of the first input; links say which of its blobs are rows of which sequence.

    States begin with the initial state and are written on by the links of the step net's outputs; aliases give them out
    without copying. What the step net leaves in other blobs stays in the workspaces of the steps, for the backward
    pass; without a backward step net a few workspaces take turns. Raises ValueError for links out of bounds. Caffe2:
    operators/rnn/recurrent_network_op.
    """

    contract = "input: float, *inputs?: any -> output: blob, *outputs: blob"
    docs = {
        "input": "a sequence: [T, N, ...], T steps of N rows",
        "inputs": "initial states, and the blobs that the step net reads",
        "output": "the first alias",
        "outputs": "further aliases; last the workspaces of the steps, for the gradient",
    }

    def infer(self, *inputs: TensorSpec) -> Any:
        steps = inputs[0].shape[0] if inputs[0].has_rank else None
        found: dict[str, TensorSpec] = {}
        states = dict(self.columns("recurrent_states", "initial_recurrent_state_ids"))
        for source, name, offset in self.columns("alias_src", "alias_dst", "alias_offset"):
            if source not in states or steps is None or not inputs[states[source]].has_rank:
                continue
            initial = inputs[states[source]].shape
            length = steps + (initial[0] if len(initial) == 3 else 1)
            count = length - offset if offset >= 0 else -offset
            found[name] = TensorSpec((count, inputs[0].shape[1], initial[-1]), inputs[states[source]].dtype)
        return tuple(found.get(name, TensorSpec()) for name in self.op_def.output)

    def run_cpu(self, *inputs: Any) -> Any:
        if inputs[0].ndim < 2:
            raise ValueError(f"input: shape is {list(inputs[0].shape)}, wants [T, N, ...]")
        count, batch = inputs[0].shape[:2]
        if self._unrolled is None:
            self._unrolled = Unrolled(self.net_of("step_net"), self.links(), self.timestep)
        for state, index in self.columns("recurrent_states", "initial_recurrent_state_ids"):
            self._start(state, index, inputs, count, batch)
        scratch = self._scratch()
        turns = EXECUTOR_WORKSPACES if self.enable_rnn_executor else PLAIN_WORKSPACES
        turns = count if self.backward_step_net else min(count, turns)
        linked = [self.sequence(link.external) for link in self._unrolled.links]
        self._unrolled.run(count, scratch.at_least(turns)[:turns], linked, range(count))
        for source, name, offset in self.columns("alias_src", "alias_dst", "alias_offset"):
            self._give_out(source, name, offset)
        return (*(blob.value for blob in self.outputs[:-1]), scratch)

    def _start(self, state: str, index: int, inputs: Sequence[np.ndarray], count: int, batch: int) -> None:
        """Makes room for a state in all steps and writes its beginning."""
        if index >= len(inputs):
            raise ValueError(f"initial_recurrent_state_ids: {index}, there are {len(inputs)} inputs")
        name, initial = self.op_def.input[index], inputs[index]
        if initial.dtype.kind != "f" or not 1 <= initial.ndim <= 3 or (initial.ndim > 1 and initial.shape[-2] != batch):
            raise ValueError(
                f"initial state {name!r}: is {initial.dtype}{list(initial.shape)}, wants float [D], [{batch}, D] or "
                f"[rows, {batch}, D]"
            )
        length = len(initial) if initial.ndim == 3 else 1
        shape = (count + length, batch, initial.shape[-1])
        blob = self.workspace.blob(state)
        if getattr(blob.value, "shape", None) != shape or blob.value.dtype != initial.dtype:
            blob.set(np.zeros(shape, initial.dtype))
        blob.value[:length] = initial

    def _scratch(self) -> StepWorkspaces:
        held = self.outputs[-1].value
        scratch = held if isinstance(held, StepWorkspaces) else StepWorkspaces(self.workspace)
        for name in self.recompute_blobs_on_backward:
            scratch.shared.blob(name)
        return scratch

    def _give_out(self, source: str, name: str, offset: int) -> None:
        """Makes the blob `name` the rows of a state from `offset` on."""
        state = self.sequence(source)
        start = offset if offset >= 0 else len(state) + offset
        if not 0 <= start <= len(state):
            raise ValueError(f"alias_offset: {offset} for {source}, which has {len(state)} rows")
        blob = self.workspace.blob(name)
        view = state[start:]
        held = blob.value
        if held is None or getattr(held, "base", None) is not state or not _same_memory(held, view):
            blob.set(view)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        args: Any = g.def_.args
        given = list(args.get("outputs_with_grads", ()))
        if not given:
            raise GradientError("RecurrentNetwork: outputs_with_grads is empty, wants outputs_with_grads.size() > 0")
        inputs = [*(g.GO(i) for i in given), *g.def_.input, *g.def_.output]
        ids = [0, *args.get("param", ()), *args.get("initial_recurrent_state_ids", ())]
        return [g.op("RecurrentNetworkGradient", inputs, [g.GI(i) for i in ids])]


def _same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.ctypes.data == b.ctypes.data
