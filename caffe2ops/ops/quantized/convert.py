"""Matrices of floats to fused row-wise quantised ones, and back."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator, row
from caffe2ops.ops.quantized.codec import EIGHT, EIGHT_HALF, FAKE, FOUR, TWO, Codec
from caffe2ops.ops.shape.axes import show

SOURCE = {8: "fused_rowwise_8bit_conversion_ops", 4: "fused_rowwise_nbit_conversion_ops"}
SEARCH = " Engine GREEDY narrows the range of each row where less is lost so."
FLOATS = {"Float": "float32", "Half": "float16", "HalfFloat": "float16"}


class Quantize(Operator):
    """Base: floats in, bytes out, row by row along the last dim."""

    codec: ClassVar[Codec]
    greedy: ClassVar[bool] = False
    gradient = NO_GRADIENT

    def infer(self, x: TensorSpec) -> TensorSpec:
        if not x.ndim:
            raise ValueError("input: has no dimensions, wants rows")
        return TensorSpec((*x.shape[:-1], self.codec.coded_width(x.shape[-1])), np.dtype(np.uint8))

    def run_cpu(self, x: np.ndarray) -> Any:
        return self._encoded(x, Codec.encode)

    def run_cuda(self, x: Any) -> Any:
        from caffe2ops.ops.quantized import codec_cuda

        return self._encoded(x, codec_cuda.encode)

    def _encoded(self, x: Any, encode: Callable[..., None]) -> Any:
        if not x.ndim or not x.shape[-1]:
            raise ValueError(f"input: shape is {show(x.shape)}, wants rows with elements")
        rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
        out = self.out(0, (*x.shape[:-1], self.codec.coded_width(x.shape[-1])), np.uint8)
        encode(self.codec, rows, out.reshape(len(rows), out.shape[-1]), self.greedy)
        return out


class Dequantize(Operator):
    """Base: bytes in, floats out."""

    codec: ClassVar[Codec]
    to: ClassVar[str]
    gradient = NO_GRADIENT

    def infer(self, coded: TensorSpec) -> TensorSpec:
        return TensorSpec((*coded.shape[:-1], self._width(coded.shape)), np.dtype(self.to))

    def _width(self, shape: tuple[Any, ...]) -> Any:
        if not shape:
            raise ValueError("scale_bias_quantized_input: has no dimensions, wants rows")
        return self.codec.width(shape[-1], "scale_bias_quantized_input")

    def run_cpu(self, coded: np.ndarray) -> Any:
        out = self.out(0, (*coded.shape[:-1], self._width(coded.shape)), self.to)
        rows = self.codec.decode(coded.reshape(prod(coded.shape[:-1]), coded.shape[-1]))
        out[...] = rows.reshape(out.shape)
        return out

    def run_cuda(self, coded: Any) -> Any:
        from caffe2ops.ops.quantized import lookup_cuda

        out = self.out(0, (*coded.shape[:-1], self._width(coded.shape)), self.to)
        return lookup_cuda.decode(lookup_cuda.layout(self.codec, coded), out)


def quantize(name: str, kind: str, codec: Codec, doc: str = "") -> None:
    """Declares the operator that makes rows of a codec out of floats of this kind; below 8 bits an engine more."""
    made = row(
        name,
        f"Rows of {FLOATS[kind]} quantised to {codec.bits} bits, with a {codec.scale} scale and bias each{doc}."
        f"{SEARCH * (codec.bits < 8)} Caffe2: operators/{SOURCE.get(codec.bits, SOURCE[4])}.",
        Quantize,
        depth=2,
        contract=f"input: {FLOATS[kind]}{'' if codec.packed else '[N, D]'} -> output: uint8[?]",
        docs={"input": "[..., D]", "output": "[..., bytes of a row, then of its scale and bias]"},
        codec=codec,
    )
    if codec.bits < 8:
        type(f"{name}Greedy", (made,), {"greedy": True, "__doc__": made.__doc__}, engine="GREEDY")


def dequantize(name: str, kind: str, codec: Codec, output: str) -> None:
    """Declares the operator that makes floats of this kind out of rows of a codec."""
    row(
        name,
        f"Rows of {codec.bits} bits, with a {codec.scale} scale and bias each, as {FLOATS[kind]}. "
        f"Caffe2: operators/{SOURCE.get(codec.bits, SOURCE[4])}.",
        Dequantize,
        depth=2,
        contract=f"scale_bias_quantized_input: uint8 -> {output}: {FLOATS[kind]}[?]",
        docs={"scale_bias_quantized_input": "[..., bytes of a row, then of its scale and bias]", output: "[..., D]"},
        codec=codec,
        to=FLOATS[kind],
    )


for _suffix, _codec in (("", EIGHT), ("HalfScaleBias", EIGHT_HALF)):
    for _kind in ("Float", "HalfFloat"):
        quantize(f"{_kind}ToFused8BitRowwiseQuantized{_suffix}", _kind, _codec)
    dequantize(f"Fused8BitRowwiseQuantized{_suffix}ToFloat", "Float", _codec, "float_output")
    _back = (
        ("Float", "float_output") if _suffix else ("HalfFloat", "float16_output")
    )  # to float32, in spite of its name
    dequantize(f"Fused8BitRowwiseQuantized{_suffix}ToHalfFloat", _back[0], _codec, _back[1])
for _codec in (FOUR, TWO):
    for _kind, _output in (("Float", "float_output"), ("Half", "float16_output")):
        quantize(f"{_kind}ToFused{_codec.bits}BitRowwiseQuantized", _kind, _codec)
        quantize(f"{_kind}ToFused{_codec.bits}BitFakeRowwiseQuantized", _kind, FAKE[_codec.bits], ", a byte an element")
        dequantize(f"Fused{_codec.bits}BitRowwiseQuantizedTo{_kind}", _kind, _codec, _output)
