"""Floats as bytes, row by row with a scale and a bias each, and bytes of weights as floats."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.ops.quantized.codec import EPSILON, Codec
from caffe2ops.ops.quantized.half_weights import PackedWeights
from caffe2ops.ops.quantized.stochastic import EPSILON as GAP
from caffe2ops.ops.quantized.stochastic import HEAD
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.optim import halved
from caffe2ops.port.onnx.rules.quantized import numbers_of
from caffe2ops.port.values import NotPortable, Value


def bytes_of(g: Builder, x: Value, dtype: str) -> Value:
    """The bytes of two numbers a row as float32 or float16, little endian; a zero has no sign."""
    size = np.dtype(dtype).itemsize
    fraction_bits, least, infinite = (23, -126, 128) if size == 4 else (10, -14, 16)
    x = g.cast(x, np.float64)
    # in float64 the logarithm of such a number is farther from a whole one than 1e-9 unless it is one
    power = g.Floor(g.Add(g.Div(g.Log(g.Abs(x)), np.log(2.0)), 1e-9))
    power = g.Max(g.Min(power, float(infinite)), float(least))
    fraction = g.Mul(g.Min(g.Abs(x), 2.0**infinite), g.Pow(np.float64(2), g.Sub(float(fraction_bits), power)))
    word = g.Add(g.Mul(g.Sub(power, float(least)), 2.0**fraction_bits), fraction)
    word = g.Add(g.cast(word, np.int64), g.Where(g.Less(x, 0.0), np.int64(1 << (8 * size - 1)), np.int64(0)))
    parts = g.Mod(g.Div(g.unsqueeze(word, 2), np.asarray([1 << (8 * i) for i in range(size)], np.int64)), 256)
    return g.reshape(g.cast(parts, np.uint8), -1, 2 * size)


def encoded(g: Builder, codec: Codec, x: Value, divides: bool) -> Value:
    """Coded rows of float32 rows; NaN counts as 0 steps."""
    odd = g.IsNaN(x)
    low = g.reduce("ReduceMin", g.Where(odd, np.float32(np.inf), x), [1], keepdims=True)
    high = g.reduce("ReduceMax", g.Where(odd, np.float32(-np.inf), x), [1], keepdims=True)
    if codec.half:
        bias = g.cast(halved(g, low), np.float32)
        extent = g.Sub(high, bias)
        scale = g.cast(halved(g, g.Div(extent, float(codec.levels))), np.float32)
        lost = g.Or(g.Equal(extent, 0.0), g.Equal(scale, 0.0)) if codec.packed else g.Equal(extent, 0.0)
        scale = g.Where(lost, 1.0, scale)
        factor = scale if divides else g.Where(g.Equal(scale, 0.0), 0.0, g.Reciprocal(scale))
    else:
        bias, extent = low, g.Sub(high, low)
        scale, factor = g.Div(extent, 255.0), g.Div(np.float32(255), g.Add(extent, float(EPSILON)))
    steps = g.op("Div" if divides else "Mul", g.Sub(x, bias), factor)
    steps = g.Clip(g.Round(steps), np.float32(0), np.float32(codec.levels))
    codes = g.Where(g.IsNaN(steps), 0.0, steps)
    if codec.per_byte > 1:
        places = np.asarray([1 << (i * codec.bits) for i in range(codec.per_byte)], np.float32)
        parts = g.reshape(codes, g.dims(x, [0]), g.Div(g.dims(x, [1]), codec.per_byte), codec.per_byte)
        codes = g.reduce("ReduceSum", g.Mul(parts, places), [2])
    tail = bytes_of(g, g.Concat(scale, bias, axis=1), codec.scale)
    return g.Concat(g.cast(codes, np.uint8), tail, axis=1)


@rule(
    *(f"{kind}ToFused8BitRowwiseQuantized{tail}" for kind in ("Float", "HalfFloat") for tail in ("", "HalfScaleBias"))
)
@rule(*(
    f"{kind}ToFused{bits}Bit{fake}RowwiseQuantized"
    for kind in ("Float", "Half") for bits in (2, 4) for fake in ("", "Fake")
))  # fmt: skip
def fused_codes(g: Builder, op: Any, x: Value) -> Value:
    codec = op.codec
    rows = g.cast(g.reshape(x, -1, g.dims(x, [x.rank - 1])), np.float32)
    made = encoded(g, codec, rows, codec.half and codec.packed and x.dtype == np.float16)
    return made if x.rank == 2 else g.reshape(made, g.dims(x, slice(0, x.rank - 1)), g.dims(made, [1]))


@rule("FloatToRowwiseQuantized8Bits")
def separate_codes(g: Builder, op: Any, x: Value) -> tuple[Value, Value]:
    rows = g.matrix(x)
    low, high = (g.reduce(kind, rows, [1], keepdims=True) for kind in ("ReduceMin", "ReduceMax"))
    extent = g.Sub(high, low)
    scale = g.Where(g.Equal(extent, 0.0), 1.0, g.Div(extent, 255.0))
    codes = g.cast(g.Round(g.Div(g.Sub(rows, low), scale)), np.uint8)
    return g.reshape(codes, g.dims(x)), g.Concat(scale, low, axis=1)


@rule("FusedRandRowwiseQuantizedToFloat")
def random_floats(g: Builder, op: Any, coded: Value) -> Value:
    """The first two bytes of all rows say how many bits an element has, and how many of them are not used."""
    start = g.cast(g.flat(g.slice(g.slice(coded, 0, 0, 1), 1, 0, 2)), np.int64)
    bits, unused = g.Gather(start, np.int64(0)), g.slice(start, 0, 1, 2)
    ends = numbers_of(g, g.slice(coded, 1, 2, HEAD), "float32")
    low, high = g.split(ends, [1, 1], 1)
    power = g.Gather(1 << np.arange(9), bits)  # 2^bits, the number of levels
    shifts = g.Gather(1 << np.arange(8), g.Range(np.int64(0), np.int64(8), bits))
    packed = g.cast(g.slice(coded, 1, HEAD, np.iinfo(np.int64).max), np.int64)
    codes = g.Mod(g.Div(g.unsqueeze(packed, 1), g.unsqueeze(shifts, 1)), power)
    codes = g.reshape(codes, g.dims(coded, [0]), -1)
    codes = g.slice(codes, 1, 0, g.Sub(g.Shape(codes, start=1), unused))
    gap = g.Add(g.Div(g.Sub(high, low), g.cast(g.Sub(power, 1), np.float32)), float(np.float32(GAP)))
    return g.Add(g.Mul(g.cast(codes, np.float32), gap), low)


# --- weights ---


@rule("ByteWeightDequant")
def byte_weights(g: Builder, op: Any, weights: Value) -> Value:
    step = np.float32((np.float32(op.max) - np.float32(op.min)) / 255.0)
    taken = g.slice(g.flat(weights), 0, 0, prod(op.shape))
    return g.Add(g.Mul(g.cast(g.reshape(taken, list(op.shape)), np.float32), step), np.float32(op.min))


@rule("QuantDecode")
def quant_decode(g: Builder, op: Any, codebook: Value, *codes: Value) -> list[Value]:
    table = g.flat(codebook)
    return [g.Gather(table, x if x.dtype == np.int32 else g.cast(x, np.int64)) for x in codes]


@rule("FbFCPacked")
def packed_fc(g: Builder, op: Any, x: Value, w: Value, b: Value) -> Value:
    packed = g.walker.parameters.get(w.name)
    if not isinstance(packed, PackedWeights):
        raise NotPortable("weights that the init net does not pack by FbGemmPack")
    axis = op.axis % x.rank
    made = g.Gemm(g.matrix(x, axis), g.constant(packed.matrix, f"{w.name}/unpacked"), b, transB=1)
    return made if axis == 1 else g.reshape(made, g.dims(x, slice(0, axis)), -1)
