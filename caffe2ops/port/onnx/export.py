"""to_onnx: walks a net, operator by operator, and lets the rules write each one's nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caffe2ops.build import Net
from caffe2ops.dataflow import given_out_by, read_by, read_by_operator, written_by
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import did_you_mean
from caffe2ops.placement import on_device
from caffe2ops.port.nets import fed_to, refuse_others, workspace_of
from caffe2ops.port.onnx.model import OnnxModel
from caffe2ops.port.onnx.rules import rules
from caffe2ops.port.onnx.walker import CONSTANTS, Walker, is_given
from caffe2ops.port.packages import need
from caffe2ops.workspace import Workspace, definition_of

OPSET = 21  # the newest that every onnxruntime of the extra `port` runs in full
OLDEST, NEWEST = 16, 25


def to_onnx(
    net: NetDef | Net,
    init: NetDef | Mapping[str, Any] | Workspace | None = None,
    shapes: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = (),
    opset: int = OPSET,
    allow_custom: bool = False,
    exact_int8: bool = False,
) -> OnnxModel:
    """A net, or what a builder holds, as an ONNX model with the parameters in it.

    `init`: the net that makes the parameters, the parameters by name, or a workspace that holds them. `shapes`: for
    every other blob that the net reads, an array like it, a TensorSpec, or dims (float32); a dim is a number, a name
    ("N") where it varies, or None. `outputs`: the blobs wanted; only what they need is ported. `allow_custom` keeps
    operators without a rule as nodes of the domain "caffe2ops". `exact_int8` has operators of 8 bits compute in whole
    numbers what Caffe2 computes, bit by bit; else they are floats between QuantizeLinear and DequantizeLinear, which
    runtimes fuse, within one step of Caffe2 each.

    Raises OperatorError for the first operator that can't be ported, ValueError for inputs whose shape is not given.
    """
    net = on_device(definition_of(net), DeviceOption())
    newest = min(NEWEST, need("onnx").defs.onnx_opset_version())
    if not OLDEST <= opset <= newest:
        raise ValueError(f"opset = {opset}, wants {OLDEST} to {newest}")
    workspace = workspace_of(init)
    wanted = tuple(outputs or net.external_output or given_out_by(net))
    if outputs:
        net = _needed_for(net, wanted, workspace)
    declared = bool(outputs or net.external_output)
    shapes = dict(shapes or {})
    names = fed_to(net, workspace, shapes)
    names += [name for name in shapes if name not in names and name in net.external_input]
    made = {name for op in net.op for name in written_by(op)}
    held = [*read_by(net), *(name for name in wanted if name not in made and workspace.has(name))]
    parameters = {name: workspace.fetch(name) for name in held if name not in names}
    if not allow_custom:
        refuse_others(net, _is_portable, "ONNX", "keep it as an operator of the domain caffe2ops (--allow-custom)")
    fed = {name: shapes[name] for name in names}
    return Walker(net, workspace, parameters, fed, wanted, opset, allow_custom, declared, exact_int8).model


def _needed_for(net: NetDef, outputs: Sequence[str], workspace: Workspace) -> NetDef:
    """The operators that these blobs need. Raises ValueError for a blob that neither the net nor the workspace has."""
    known = {name for op in net.op for name in (*op.input, *written_by(op))}
    for name in outputs:
        if name not in known and not workspace.has(name):
            raise ValueError(f"the net has no blob {name!r}{did_you_mean(name, known)}")
    wanted, kept = set(outputs), []
    for op in reversed(net.op):
        if wanted & set(written_by(op)):
            kept.append(op)
            wanted.update(read_by_operator(op))
    return net.replace(op=tuple(reversed(kept)), external_output=tuple(outputs))


def _is_portable(op: OperatorDef) -> bool:
    return op.type in rules() or op.type in CONSTANTS or is_given(op)
