"""Operators one by one: their blobs, a run with all checks, the place of an error; and operators outside nets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import OperatorError, did_you_mean
from caffe2ops.operator import Operator

if TYPE_CHECKING:
    from caffe2ops.workspace import Blob, Workspace

# For np.errstate in operators; where errors are ignored, divisions by zero and the like give inf and nan.
FLOATING_POINT: dict[str, Any] = {"all": "ignore"}


class OneOperator:
    """An operator outside nets, to be run in any workspace, each time as if it had just been created.

    Its definition is read and checked in the first run, for the engines and the device of that workspace; the
    contract is compared with the inputs where their dtypes and shapes change.
    """

    def __init__(self, op_def: OperatorDef):
        self.op_def = op_def
        self._model: Operator | None = None  # one that never runs
        self._signature: Any = None

    def run(self, workspace: Workspace, times: int = 1) -> None:
        """Creates the operator and runs it `times` times. Raises OperatorError."""
        op_def = self.op_def
        inputs, outputs = blobs_of(op_def, workspace)
        with np.errstate(**FLOATING_POINT):
            try:
                op = self._fresh(workspace, inputs, outputs)
                step = step_of(op)
                for _ in range(times):
                    step()
            except Exception as error:
                raise located(error, op_def, inputs) from error
        self._signature = op.signature

    def _fresh(self, workspace: Workspace, inputs: Sequence[Blob], outputs: Sequence[Blob]) -> Operator:
        if self._model is not None:
            op = self._model.again(workspace, inputs, outputs)
        else:
            op = registry.create(self.op_def, workspace, inputs, outputs, preferences=workspace.engines)
            if type(op).__init__ is Operator.__init__:  # another one may make what a run changes
                self._model = op.again(None, (), ())
        op.signature = self._signature
        return op


def blobs_of(
    op_def: OperatorDef, workspace: Workspace, net: str | None = None, index: int = 0, expected: Sequence[str] = ()
) -> tuple[list[Blob], list[Blob]]:
    """The blobs that an operator reads and writes. Raises OperatorError where one that it reads is not there."""
    inputs: list[Blob] = []
    for name in op_def.input:
        blob = workspace.find(name)
        if blob is None:
            expects = [n for n in expected if not workspace.has(n)]
            needs = f"; the net expects {', '.join(map(repr, expects))} to be there" if expects else ""
            near = did_you_mean(name, workspace.blobs())
            text = f"input blob {name!r} does not exist in the workspace{needs}{near}"
            raise OperatorError(text, op_def, net=net, index=index)
        inputs.append(blob)
    return inputs, [workspace.blob(name) for name in op_def.output]


def located(
    error: Exception, op_def: OperatorDef, inputs: Sequence[Blob], net: str | None = None, index: int = 0
) -> Exception:
    """The error of an operator, with its place."""
    if isinstance(error, OperatorError) and error.net is not None:
        return error
    known = isinstance(error, (ValueError, TypeError, LookupError, OSError, OperatorError))
    reason = str(error) if known and str(error) else f"{type(error).__name__}: {error}"
    return OperatorError(reason.removeprefix(f"{op_def.type}: "), op_def, tuple(map(str, inputs)), net, index)


def step_of(op: Operator) -> Callable[[], None]:
    """A run of an operator."""
    return partial(_run_alone if op.mutex else _run, op)


def _run_alone(op: Operator) -> None:
    """`_run` while the operator's mutex is held, so that no other thread writes between its reading and writing."""
    for port, blob in op.parsed.pair(op.parsed.inputs, op.inputs):
        if port.name == op.mutex and blob.value is not None:
            if not hasattr(blob.value, "acquire"):
                raise TypeError(f"{op.mutex}: holds {type(blob.value).__name__}, wants what CreateMutex makes")
            with blob.value:
                _run(op)
            return
    _run(op)


def _run(op: Operator) -> None:
    """One operator with all checks: values of its input blobs in, results into its output blobs."""
    values = [blob.value for blob in op.inputs]
    for blob, value in zip(op.inputs, values):
        if value is None and not op.takes_empty(blob):
            raise ValueError(f"input blob {blob.name!r} is empty: feed it, or run what writes it")
    op.check(values)
    results = op.run_cpu(*values) if op.device == "cpu" else op.run_cuda(*values)
    if op.n_outputs == 0:
        return
    if results is None:
        raise RuntimeError(f"the kernel gave nothing, the definition names {op.n_outputs} outputs")
    if not isinstance(results, (tuple, list)):
        results = (results,)
    if op.has_short_cut:
        op.results = results
    if len(results) < op.n_outputs:
        raise RuntimeError(f"the kernel gave {len(results)} outputs, the definition names {op.n_outputs}")
    for blob, value in zip(op.outputs, results):
        if value is not blob.value:
            if isinstance(value, np.generic):
                value = np.asarray(value)
            if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
                value = value.copy(order="C")
            blob.set(value)
