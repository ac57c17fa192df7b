"""Embedding tables of 8, 4 and 2 bits with a scale and bias for each row: looked up, and turned to floats."""

from __future__ import annotations

from typing import Any

from caffe2ops.ops.quantized.codec import Codec
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer
from caffe2ops.port.values import NotPortable

EIGHT = Codec(8, "float32", half=False)
KINDS = ("Sum", "WeightedSum", "Mean")


def decoded(t: Writer, codec: Codec, rows: str) -> str:
    """The floats of coded rows."""
    t.use("decoded")
    given = "" if codec.scale == "float32" else ", scale_type=torch.float16"
    return f"decoded({rows}, {codec.bits if codec.per_byte > 1 else 8}{given})"


def folded(t: Writer, kind: str, rows: str, lengths: Tensor, weights: str) -> str:
    """Rows, maybe weighted, folded segment by segment."""
    if weights:
        rows = str(t.let("rows", rows))
        rows = f"{rows} * {t.call('per_row', weights, rows)}"
    call = "segment_mean" if kind == "Mean" else "segment_sum"
    return t.call(call, rows, t.call("segment_ids", lengths), f"{lengths}.numel()")


@rule(*(f"SparseLengths{kind}Fused{bits}BitRowwise" for kind in KINDS for bits in (2, 4, 8)))
@rule(*(f"SparseLengths{kind}{bits}BitRowwiseSparse" for kind in KINDS for bits in (2, 4, 8)))
def fused_lookup(t: Writer, op: Any, data: Tensor, *rest: Tensor) -> str:
    mapping = rest[-1] if op.mapped else None
    *weights, indices, lengths = rest[: len(rest) - op.mapped]
    factors, rows = str(weights[0]) if weights else "", f"{indices}.long()"
    if mapping is not None and mapping.size == 1:
        if mapping.constant("COMPRESSED_INDICES_MAPPING").any():
            raise NotPortable("COMPRESSED_INDICES_MAPPING of one element that is not 0")
    elif mapping is not None:
        row = t.let("row", f"{mapping}[{rows}].long()")
        factors = f"({row} >= 0)" + (f" * {factors}" if factors else "")
        rows = f"{row}.clamp(min=0)"
    return folded(t, "Mean" if op.mean else "Sum", decoded(t, op.codec, f"{data}[{rows}]"), lengths, factors)


@rule(*(f"Fused{bits}BitRowwiseQuantizedTo{kind}" for bits in (2, 4) for kind in ("Float", "Half")))
@rule("Fused8BitRowwiseQuantizedToFloat", "Fused8BitRowwiseQuantizedToHalfFloat")
@rule("Fused8BitRowwiseQuantizedHalfScaleBiasToFloat", "Fused8BitRowwiseQuantizedHalfScaleBiasToHalfFloat")
def fused_floats(t: Writer, op: Any, x: Tensor) -> str:
    text = decoded(t, op.codec, str(x))
    return f"{text}.half()" if "16" in op.parsed.outputs[0].dtype else text


ENCODERS = [
    *(f"{kind}ToFused8BitRowwiseQuantized{tail}" for kind in ("Float", "HalfFloat") for tail in ("", "HalfScaleBias")),
    *(f"{kind}ToFused{bits}Bit{fake}RowwiseQuantized"
      for kind in ("Float", "Half") for bits in (2, 4) for fake in ("", "Fake")),
]  # fmt: skip


@rule(*ENCODERS)
def fused_codes(t: Writer, op: Any, x: Tensor) -> str:
    codec = op.codec
    kind = "" if codec.scale == "float32" else ", torch.float16"
    t.use("encoded")
    more = f", half=True{'' if codec.packed else ', packed=False'}" if codec.half else ""
    return f"encoded({x}, {codec.bits}{kind}{more})"


@rule("GatherFused8BitRowwise")
def gather_fused(t: Writer, op: Any, data: Tensor, indices: Tensor) -> str:
    return decoded(t, EIGHT, f"{data}[{indices}.long()]")


@rule(*(f"SparseLengths{kind}8BitsRowwise" for kind in (*KINDS, "WeightedMean")))
def separate_lookup(t: Writer, op: Any, data: Tensor, *rest: Tensor) -> str:
    *weights, indices, lengths, scale_bias = rest
    rows = t.let("indices", f"{indices}.long()")
    text = t.call("scaled", f"{data}[{rows}]", f"{scale_bias}[{rows}]")
    return folded(t, "Mean" if "Mean" in op.type else "Sum", text, lengths, str(weights[0]) if weights else "")


@rule("Rowwise8BitQuantizedToFloat")
def separate_floats(t: Writer, op: Any, x: Tensor, scale_bias: Tensor) -> str:
    return t.call("scaled", x, scale_bias)
