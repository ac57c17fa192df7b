"""The gradient of RecurrentNetwork: the backward step net run from the last step to the first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.ops.recurrent.network import Recurrent
from caffe2ops.ops.recurrent.steps import Link, StepWorkspaces, Unrolled, workspaces_of
from caffe2ops.workspace import Workspace


class StateGradient(NamedTuple):
    """The gradient of a state, in the blob `gradient`, and the inputs that add to it, None where there is none."""

    state: str
    gradient: str
    every: int | None  # the gradient of the alias of all steps
    last: int | None  # that of the alias of the last step


class RecurrentNetworkGradient(Recurrent):
    """The gradients of the sequence, of the parameters (summed over the steps) and of the initial states.

    Each step runs in the workspace that the forward step left. What other operators add to the gradient of a state
    goes in before the step that needs it. Raises ValueError where there are fewer workspaces than steps. Caffe2:
    operators/rnn/recurrent_network_op.
    """

    contract = "*inputs?: blob -> *outputs?: blob"
    docs = {
        "inputs": "gradients of outputs_with_grads, then the inputs and the outputs of RecurrentNetwork",
        "outputs": "gradients of the first input, of the parameters and of the initial states",
    }
    _states: list[StateGradient]
    _frames: list[Workspace]  # below those of the steps, with the linked blobs of the backward step net

    def infer(self, *inputs: TensorSpec) -> Any:
        given = len(self.outputs_with_grads)
        ids = [0, *self.param, *self.initial_recurrent_state_ids]
        return tuple(inputs[given + i] for i in ids if given + i < len(inputs))

    def renamed(self, name: str) -> str:
        """The blob that takes the place of another, where Caffe2's memonger has found one to share."""
        other = self.op_def.args.get(f"{name}.rename", name)
        return other.decode() if isinstance(other, bytes) else str(other)

    def _backward_links(self) -> list[Link]:
        names = ("backward_link_internal", "backward_link_external", "backward_link_offset")
        links = [*self.links(), *(Link(*link) for link in self.columns(*names))]
        return [link._replace(internal=self.renamed(link[0]), external=self.renamed(link[1])) for link in links]

    def _net(self) -> NetDef:
        """The backward step net that adds its gradients of parameters to those of the later steps."""
        net, sums = self.net_of("backward_step_net"), []
        if self.param_grads and len(self.param_grads) != len(self.param):
            raise ValueError(f"param_grads: has {len(self.param_grads)} names, param has {len(self.param)}: mismatch")
        for i in range(len(self.param)):
            total = self.op_def.output[1 + i]
            name = self.renamed(self.param_grads[i]) if self.param_grads else total
            step = f"{name}_tmpstep"
            net = net.replace(op=tuple(_rename(op, name, step) for op in net.op))
            sums.append(OperatorDef(type="Sum", input=(total, step), output=(total,)))
        return net.replace(op=(*net.op, *sums))

    def _state_gradients(self) -> list[StateGradient]:
        found = []
        aliases = self.columns("alias_src", "alias_dst", "alias_offset")
        for state in self.recurrent_states:
            inputs: dict[int, int] = {}
            for output, (source, _, offset) in enumerate(aliases):
                if source == state and output in self.outputs_with_grads:
                    if offset not in (1, -1):
                        raise ValueError(f"alias_offset: {offset} of an output with a gradient, wants 1 or -1")
                    inputs[offset] = self.outputs_with_grads.index(output)
            found.append(StateGradient(state, self.renamed(f"{state}_grad"), inputs.get(1), inputs.get(-1)))
        return found

    def run_cpu(self, *values: Any) -> Any:
        given = len(self.outputs_with_grads)
        inputs, scratch = values[given:], workspaces_of("last input", values[-1] if values else None)
        wanted = 1 + len(self.param) + len(self.initial_recurrent_state_ids)
        last = max((0, *self.param, *self.initial_recurrent_state_ids))
        if self.n_outputs != wanted or last >= len(inputs):
            raise ValueError(f"outputs: there are {self.n_outputs} for {len(inputs)} inputs, wants {wanted}")
        if self._unrolled is None:
            self._states = self._state_gradients()
            self._unrolled = Unrolled(self._net(), self._backward_links(), self.timestep)
            self._frames = []
        count = len(inputs[0])
        if len(scratch.steps) < count:
            raise ValueError(f"inputs: there are workspaces of {len(scratch.steps)} steps, wants {count}")
        for i, index in enumerate((0, *self.param)):
            self._zeros(i, inputs[index])
        totals = [self._total(state, values) for state in self._states]
        self._run(count, scratch, totals, values)
        starts = [
            _start(total, inputs[index]) for total, index in zip(totals, self.initial_recurrent_state_ids, strict=True)
        ]
        return (*(blob.value for blob in self.outputs[: 1 + len(self.param)]), *starts)

    def _zeros(self, i: int, like: np.ndarray) -> None:
        zeros = self.out(i, like.shape, like.dtype)
        zeros[...] = 0
        if self.outputs[i].value is not zeros:
            self.outputs[i].set(zeros)

    def _total(self, state: StateGradient, values: Any) -> np.ndarray:
        """The array for the gradient of a state: zeros, and the last step's own gradient."""
        like, blob = self.sequence(state.state), self.workspace.blob(state.gradient)
        if getattr(blob.value, "shape", None) != like.shape or blob.value.dtype != like.dtype:
            blob.set(np.empty_like(like))
        total: np.ndarray = blob.value
        total[...] = 0
        if state.last is not None:
            given = values[state.last]
            if given.shape[-2:] != total.shape[1:] or given.size != total[-1].size:
                wanted = [1, *total.shape[1:]]
                raise ValueError(f"gradient of the last step of {state.state}: is {list(given.shape)}, wants {wanted}")
            total[-1] += given.reshape(total.shape[1:])
        return total

    def _run(self, count: int, scratch: StepWorkspaces, totals: list[np.ndarray], values: Any) -> None:
        unrolled = self._unrolled
        assert unrolled is not None
        for op in unrolled.definition.op if scratch.steps else ():
            for name in op.output:
                if not scratch.steps[0].has(name):
                    scratch.shared.blob(name)
        if self._frames and scratch.steps[:1] != [self._frames[0].parent]:
            self._frames = []
        self._frames += [step.child() for step in scratch.steps[len(self._frames) : count]]
        sequence = self.renamed(f"{self.op_def.input[len(self.outputs_with_grads)]}_grad")
        linked = [
            self.sequence(link.external, self.outputs[0] if link.external == sequence else None)
            for link in unrolled.links
        ]
        additions = [
            (total, values[state.every], 1) for total, state in zip(totals, self._states) if state.every is not None
        ]
        unrolled.run(count, self._frames[:count], linked, reversed(range(count)), additions)


def _rename(op: OperatorDef, name: str, other: str) -> OperatorDef:
    if name not in op.input and name not in op.output:
        return op
    return op.replace(
        input=tuple(other if i == name else i for i in op.input),
        output=tuple(other if o == name else o for o in op.output),
    )


def _start(total: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """The gradient of an initial state: the first rows of the gradient of the state; summed where all rows share it."""
    if initial.ndim == 1:
        return np.asarray(total[0].sum(axis=0))
    return total[: len(initial) if initial.ndim == 3 else 1].reshape(initial.shape)
