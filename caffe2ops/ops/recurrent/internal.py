"""The operators that Caffe2 itself puts into step nets, and the one that fetches what steps have computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.recurrent.steps import addition, rows, workspaces_of


def _step(timestep: np.ndarray) -> int:
    if timestep.size != 1:
        raise ValueError(f"timestep: has {timestep.size} elements, wants 1")
    return int(timestep.reshape(-1)[0])


class rnn_internal_apply_link(Operator):
    """Makes a blob the rows of a sequence from step + offset on: both share memory.

    Raises ValueError for rows that are not there. Caffe2: operators/rnn/recurrent_network_op.
    """

    contract = "timestep: int32, external: float -> internal: external[?], external_out: external"
    docs = {
        "timestep": "the number of the step",
        "external": "a sequence of steps",
        "internal": "its rows",
        "external_out": "the sequence, as it is",
    }
    inplace_enforced = [(1, 1)]
    private = True
    offset: int = Arg(ge=0, doc="which row in step 0")
    window: int = Arg(ge=0, doc="how many rows")

    def infer(self, timestep: TensorSpec, external: TensorSpec) -> Any:
        return TensorSpec((self.window, *external.shape[1:]), external.dtype), external

    def run_cpu(self, timestep: np.ndarray, external: np.ndarray) -> Any:
        if not external.ndim:
            raise ValueError("external: is a scalar, wants a sequence of rows")
        return rows(external, _step(timestep) + self.offset, self.window, "offset"), external


class rnn_internal_accumulate_gradient_input(Operator):
    """Adds row step of a gradient to row step + offset of another.

    Raises ValueError for rows that are not there. Caffe2: operators/rnn/recurrent_network_op.
    """

    contract = (
        "timestep: int32, output_gradient: float, gradient: output_gradient -> gradient_out: gradient, *linked?: blob"
    )
    docs = {
        "timestep": "the number of the step",
        "output_gradient": "a gradient that comes in, step by step",
        "gradient": "the gradient of a state",
        "gradient_out": "the sum",
        "linked": "not looked at",
    }
    inplace_enforced = [(2, 0)]
    private = True
    offset: int = Arg(ge=0, doc="which row in step 0")

    def run_cpu(self, timestep: np.ndarray, output_gradient: np.ndarray, gradient: np.ndarray) -> Any:
        if not gradient.ndim:
            raise ValueError("gradient: is a scalar, wants rows")
        row, part = addition(gradient, output_gradient, _step(timestep), self.offset)
        row += part
        return gradient, *(blob.value for blob in self.outputs[1:])


class RecurrentNetworkBlobFetcher(Operator):
    """Copies the blobs of all steps into the workspace, named prefix_NAMEt for step t, and lists these names.

    Caffe2: operators/rnn/recurrent_network_blob_fetcher_op.
    """

    contract = "ScratchWorkspaceBlob: blob -> blob_names: string[?]"
    docs = {
        "ScratchWorkspaceBlob": "the last output of RecurrentNetwork",
        "blob_names": "the names of the copies",
    }
    gradient = FORBIDDEN
    prefix: str = Arg("rnn", doc="what the names of the copies begin with")

    def infer(self, scratch: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,), object)

    def run_cpu(self, scratch: Any) -> np.ndarray:
        names: list[bytes] = []
        for t, step in enumerate(workspaces_of("ScratchWorkspaceBlob", scratch).steps):
            for name in step.local_blobs():
                copied = f"{self.prefix}_{name}{t}"
                self.workspace.feed(copied, step.fetch(name))
                names.append(copied.encode())
        return np.fromiter(names, object)
