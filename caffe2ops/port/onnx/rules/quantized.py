"""Embedding tables of 8, 4 and 2 bits with a scale and bias for each row: looked up, and turned to floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.quantized.codec import Codec
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import folded
from caffe2ops.port.values import NotPortable, Value

EIGHT = Codec(8, "float32", half=False)


def decoded(g: Builder, codec: Codec, rows: Value) -> Value:
    """The floats of coded rows."""
    width = rows.static(1, "the table") - codec.tail
    codes, tail = g.split(rows, [width, codec.tail], 1)
    scale, bias = g.split(numbers_of(g, tail, codec.scale), [1, 1], 1)
    if codec.per_byte > 1:
        steps = np.asarray([1 << (i * codec.bits) for i in range(codec.per_byte)], np.int32)
        each = g.Mod(g.Div(g.unsqueeze(g.cast(codes, np.int32), 2), steps), np.int32(codec.levels + 1))
        codes = g.reshape(each, -1, width * codec.per_byte)
    return g.Add(g.Mul(g.cast(codes, np.float32), scale), bias)


def numbers_of(g: Builder, tail: Value, dtype: str) -> Value:
    """The two numbers whose bytes stand in rows, little endian: sign, exponent and fraction put together.

    ONNX has no way to read bytes as another type before opset 26.
    """
    size = np.dtype(dtype).itemsize
    exponent_bits, fraction_bits, bias = (8, 23, 127) if size == 4 else (5, 10, 15)
    parts = g.reshape(g.cast(tail, np.int64), -1, 2, size)
    word = g.reduce("ReduceSum", g.Mul(parts, np.asarray([1 << (8 * i) for i in range(size)], np.int64)), [2])
    sign = g.Div(word, np.int64(1 << (fraction_bits + exponent_bits)))
    exponent = g.Mod(g.Div(word, np.int64(1 << fraction_bits)), np.int64(1 << exponent_bits))
    fraction = g.Mod(word, np.int64(1 << fraction_bits))
    normal = g.Greater(exponent, 0)
    mantissa = g.Add(fraction, g.Where(normal, np.int64(1 << fraction_bits), np.int64(0)))
    power = g.Sub(g.Max(exponent, 1), np.int64(bias + fraction_bits))
    value = g.Mul(g.cast(mantissa, np.float64), g.Pow(np.float64(2), g.cast(power, np.float64)))
    return g.cast(g.Where(g.Equal(sign, 1), g.Neg(value), value), np.float32)


KINDS = ("Sum", "WeightedSum", "Mean")


@rule(*(f"SparseLengths{kind}Fused{bits}BitRowwise" for kind in KINDS for bits in (2, 4, 8)))
@rule(*(f"SparseLengths{kind}{bits}BitRowwiseSparse" for kind in KINDS for bits in (2, 4, 8)))
def fused_lookup(g: Builder, op: Any, data: Value, *rest: Value) -> Value:
    mapping = rest[-1] if op.mapped else None
    *weights, indices, lengths = rest[: len(rest) - op.mapped]
    factors = weights[0] if weights else None
    if mapping is not None:
        if not mapping.known:
            raise NotPortable("needs to know how long COMPRESSED_INDICES_MAPPING is")
        if mapping.size == 1:
            if mapping.array is None or mapping.array.any():
                raise NotPortable("needs COMPRESSED_INDICES_MAPPING as a constant")
        else:
            row = g.Gather(mapping, indices)
            there = g.cast(g.GreaterOrEqual(row, 0), np.float32)
            factors = there if factors is None else g.Mul(factors, there)
            indices = g.Max(row, 0)
    rows = decoded(g, op.codec, g.Gather(data, indices, axis=0))
    if factors is not None:
        rows = g.Mul(rows, g.unsqueeze(factors, 1))
    return folded(g, "Mean" if op.mean else "Sum", rows, lengths)


@rule(*(f"Fused{bits}BitRowwiseQuantizedTo{kind}" for bits in (2, 4) for kind in ("Float", "Half")))
@rule("Fused8BitRowwiseQuantizedToFloat", "Fused8BitRowwiseQuantizedToHalfFloat")
@rule("Fused8BitRowwiseQuantizedHalfScaleBiasToFloat", "Fused8BitRowwiseQuantizedHalfScaleBiasToHalfFloat")
def fused_floats(g: Builder, op: Any, x: Value) -> Value:
    rows = decoded(g, op.codec, g.reshape(x, -1, x.static(x.rank - 1)))
    found = g.reshape(rows, g.dims(x, slice(0, x.rank - 1)), -1)
    return g.cast(found, op.parsed.outputs[0].dtype)


@rule("GatherFused8BitRowwise")
def gather_fused(g: Builder, op: Any, data: Value, indices: Value) -> Value:
    return decoded(g, EIGHT, g.Gather(data, indices, axis=0))


@rule(*(f"SparseLengths{kind}8BitsRowwise" for kind in (*KINDS, "WeightedMean")))
def separate_lookup(g: Builder, op: Any, data: Value, *rest: Value) -> Value:
    *weights, indices, lengths, scale_bias = rest
    rows = g.cast(g.Gather(data, indices, axis=0), np.float32)
    scale, bias = g.split(g.Gather(scale_bias, indices, axis=0), [1, 1], 1)
    behind = range(2, rows.rank)
    rows = g.Add(g.Mul(rows, g.unsqueeze(scale, *behind)), g.unsqueeze(bias, *behind))
    return folded(g, op.type.replace("Weighted", ""), rows, lengths, weights[0] if weights else None)


@rule("Rowwise8BitQuantizedToFloat")
def separate_floats(g: Builder, op: Any, x: Value, scale_bias: Value) -> Value:
    scale, bias = (g.unsqueeze(v, *range(2, x.rank)) if x.rank > 2 else v for v in g.split(scale_bias, [1, 1], 1))
    return g.Add(g.Mul(g.cast(x, np.float32), scale), bias)
