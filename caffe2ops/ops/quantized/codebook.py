"""Weights stored as bytes: QuantDecode looks codes up in a codebook, ByteWeightDequant scales them into a range."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.index.rows import add_rows, checked_indices

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker

CODES = ("uint8", "uint16", "int32")


def checked_codes(codes: np.ndarray, codebook: np.ndarray, i: int) -> np.ndarray:
    """Codes as a vector of indices. Raises TypeError for a dtype that is none, IndexError for a code that is none."""
    if codes.dtype.name not in CODES:
        raise TypeError(f"codes_{i}: dtype is {codes.dtype}, wants {' or '.join(CODES)}")
    return checked_indices(codes.reshape(-1).astype(np.int64), codebook.size, f"codes_{i}", "codebook")


class QuantDecode(Operator):
    """decoded_i = codebook[codes_i], for each tensor of codes.

    Raises TypeError for codes that are not uint8, uint16 or int32, IndexError for a code that codebook does not have.
    Caffe2: operators/quant_decode_op.
    """

    contract = "codebook: float, *codes: any -> *decoded: codebook[?]"
    docs = {
        "codebook": "the numbers that codes stand for",
        "codes": "tensors of places in codebook, uint8, uint16 or int32 each",
        "decoded": "the numbers, one tensor for each of codes",
    }
    arity = "inputs == outputs + 1"

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        gradients = [g.GO(i) for i in range(len(g.def_.output))]
        return [g.op("QuantDecodeGradient", (*g.def_.input, *gradients), (g.GI(0),))]

    def infer(self, codebook: TensorSpec, *codes: TensorSpec) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(spec.shape, codebook.dtype) for spec in codes)

    def run_cpu(self, codebook: np.ndarray, *codes: np.ndarray) -> Any:
        table = codebook.reshape(-1)
        return tuple(table[checked_codes(one, codebook, i)].reshape(one.shape) for i, one in enumerate(codes))


class QuantDecodeGradient(Operator):
    """The gradient of QuantDecode by codebook: the gradients of all numbers that a code stands for, added up.

    Inputs after codebook: the tensors of codes, then as many gradients. Raises ValueError where a gradient has not one
    number for each code. Caffe2: operators/quant_decode_op.
    """

    contract = "codebook: float, *codes_and_gradients: any -> dcodebook: codebook"
    arity = "inputs >= 3 and inputs % 2 == 1"

    def run_cpu(self, codebook: np.ndarray, *rest: np.ndarray) -> Any:
        half = len(rest) // 2
        out = self.out(0, codebook.shape, codebook.dtype)
        out[...] = 0
        for i, (codes, gradient) in enumerate(zip(rest[:half], rest[half:])):
            if gradient.size != codes.size or gradient.dtype != codebook.dtype:
                raise ValueError(
                    f"gradient {i}: is {TensorSpec(gradient.shape, gradient.dtype)}, wants {codebook.dtype} with as "
                    f"many elements as codes_{i} has, {codes.size}"
                )
            add_rows(out.reshape(-1, 1), checked_codes(codes, codebook, i), gradient.reshape(-1, 1))
        return out


class ByteWeightDequant(Operator):
    """min + byte (max - min) / 255, for the bytes of weights in the given shape.

    Raises ValueError where there are fewer bytes than `shape` wants; further ones are not read. Caffe2:
    operators/byte_weight_dequant_op.
    """

    contract = "weights: uint8|string -> decoded: float32[?]"
    docs = {"weights": "bytes, a uint8 tensor or a string (the first of its tensor)", "decoded": "the weights"}
    min: float = Arg(-3.0, doc="what byte 0 stands for")
    max: float = Arg(3.0, doc="what byte 255 stands for")
    shape: list[int] = Arg((), ge=0, doc="the shape of the weights")

    def infer(self, weights: TensorSpec) -> TensorSpec:
        return TensorSpec(tuple(self.shape), np.float32)

    def run_cpu(self, weights: np.ndarray) -> Any:
        if weights.dtype == object:
            weights = np.frombuffer(weights.reshape(-1)[0] if weights.size else b"", np.uint8)
        count = prod(self.shape)
        if weights.size < count:
            raise ValueError(f"weights: has {weights.size} bytes, shape = {self.shape} wants {count}")
        step = np.float32((np.float32(self.max) - np.float32(self.min)) / 255.0)
        decoded = self.out(0, self.shape, np.float32)
        np.multiply(weights.reshape(-1)[:count].reshape(self.shape), step, out=decoded)
        decoded += np.float32(self.min)
        return decoded
