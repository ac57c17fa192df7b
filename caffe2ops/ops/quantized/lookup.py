"""Rows of fused quantised matrices picked by index, and added up segment by segment."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Operator, row
from caffe2ops.ops.index.rows import checked_indices, sum_rows
from caffe2ops.ops.quantized.codec import EIGHT, FOUR, TWO, Codec
from caffe2ops.ops.segment.lengths_reduce import checked_lengths

SOURCE = {8: "lengths_reducer_fused_8bit_rowwise_ops", 4: "lengths_reducer_fused_nbit_rowwise_ops"}
DOCS = {
    "DATA": "rows of bytes: the elements, then scale and bias",
    "WEIGHTS": "a weight for each index",
    "INDICES": "rows of DATA",
    "LENGTHS": "how many of them each segment has",
    "COMPRESSED_INDICES_MAPPING": "the row of DATA that each index stands for, -1 for one that was pruned; [0]: itself",
    "output": "a row of floats for each segment",
}


class Lookup(Operator):
    """Base: segments of rows folded to a row each. `mean`: divided by the length of the segment."""

    mean: ClassVar[bool] = False
    gradient = NO_GRADIENT

    def fold(
        self, table: np.ndarray, indices: np.ndarray, lengths: np.ndarray, weights: np.ndarray | None, out: np.ndarray
    ) -> None:
        checked_lengths(lengths, len(indices), "INDICES")
        sum_rows(table, indices, lengths, weights, out)
        if self.mean:
            out /= np.maximum(lengths, 1).astype(np.float32)[:, None]


class FusedLookup(Lookup):
    """Base: of rows that a codec reads. `mapped`: indices go through a mapping that leaves rows out."""

    codec: ClassVar[Codec]
    mapped: ClassVar[bool] = False

    def infer(self, data: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        lengths = rest[-1 - self.mapped]
        return TensorSpec((*lengths.shape, self.codec.width(data.shape[1])), np.dtype(np.float32))

    def run_cpu(self, data: np.ndarray, *rest: np.ndarray) -> Any:
        factors, indices, lengths, mapping, out = self._parts(data, rest)
        indices, pruned = _picked(indices, len(data), *mapping)
        if pruned.any():
            factors = np.where(pruned, np.float32(0), 1 if factors is None else factors).astype(np.float32)
        width = out.shape[1]
        used, position = np.unique(indices, return_inverse=True)
        table = self.codec.decode(data[used]) if len(data) else np.zeros((1, width), np.float32)
        self.fold(table, position, lengths, factors, out)
        return out

    def run_cuda(self, data: Any, *rest: Any) -> Any:
        from caffe2ops.ops.quantized import lookup_cuda

        factors, indices, lengths, mapping, out = self._parts(data, rest)

        def check(lengths: np.ndarray, indices: np.ndarray, *mapping: np.ndarray) -> None:
            _picked(indices, len(data), *mapping)
            checked_lengths(lengths, len(indices), "INDICES")

        rows, to = lookup_cuda.layout(self.codec, data), mapping[0] if mapping else None
        return lookup_cuda.lookup(rows, indices, lengths, factors, to, self.mean, out, check)

    def _parts(self, data: Any, rest: tuple[Any, ...]) -> tuple[Any, Any, Any, tuple[Any, ...], Any]:
        """Weights or None, indices, lengths, the mapping if any, and the output."""
        split = len(rest) - self.mapped
        *weights, indices, lengths = rest[:split]
        out = self.out(0, (len(lengths), self.codec.width(data.shape[1])), np.float32)
        return weights[0] if weights else None, indices, lengths, rest[split:], out


def _picked(indices: np.ndarray, n: int, *mapping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of n that indices stand for, and which were pruned: of those it is row 0."""
    if mapping:
        indices = _mapped(indices, *mapping)
    pruned = indices < 0 if mapping else np.zeros(1, bool)
    if pruned.any():
        indices = np.where(pruned, 0, indices)
    return checked_indices(indices, max(n, int(pruned.any()))), pruned


def _mapped(indices: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """The rows that indices stand for; themselves where the mapping is [0]."""
    if mapping.size == 1 and mapping[0] == 0:
        return indices
    return mapping[checked_indices(indices, len(mapping), of="COMPRESSED_INDICES_MAPPING")]


class GatherFused8BitRowwise(Operator):
    """The rows of DATA that INDICES names, as floats.

    Raises IndexError for an index that is no row. Caffe2: operators/gather_fused_8bit_rowwise_op.
    """

    contract = "DATA: uint8[R, W], INDICES: integer[K] -> OUTPUT: float32[?]"
    docs = DOCS | {"OUTPUT": "a row of floats for each index"}

    def infer(self, data: TensorSpec, indices: TensorSpec) -> TensorSpec:
        return TensorSpec((*indices.shape, EIGHT.width(data.shape[1])), np.dtype(np.float32))

    def run_cpu(self, data: np.ndarray, indices: np.ndarray) -> Any:
        EIGHT.width(data.shape[1])
        return EIGHT.decode(data[checked_indices(indices, len(data))])

    def run_cuda(self, data: Any, indices: Any) -> Any:
        from caffe2ops.ops.quantized import lookup_cuda

        out = self.out(0, (len(indices), EIGHT.width(data.shape[1])), np.float32)
        return lookup_cuda.gather(EIGHT, data, indices, out, lambda host: checked_indices(host, len(data)))


def lookups(name: str, codec: Codec, mapped: bool) -> None:
    """Declares Sum, WeightedSum and Mean; `name` with the fold in it."""
    for kind in ("Sum", "WeightedSum", "Mean"):
        weights = "WEIGHTS: float32[K], " * (kind == "WeightedSum")
        mapping = ", COMPRESSED_INDICES_MAPPING: int32[M]" * mapped
        row(
            name.format(kind),
            f"SparseLengths{kind} of rows of {codec.bits} bits: the {'mean' if kind == 'Mean' else 'sum'} of each "
            f"segment{', weighted' * bool(weights)}{', of rows that a mapping has kept' * mapped}. Raises IndexError "
            f"for an index that is no row. Caffe2: operators/{SOURCE.get(codec.bits, SOURCE[4])}.",
            FusedLookup,
            depth=2,
            contract=f"DATA: uint8[R, W], {weights}INDICES: integer[K], LENGTHS: int32[N]{mapping} "
            "-> output: float32[?]",
            docs=DOCS,
            codec=codec,
            mean=kind == "Mean",
            mapped=mapped,
        )


for _codec in (EIGHT, FOUR, TWO):
    lookups(f"SparseLengths{{}}Fused{_codec.bits}BitRowwise", _codec, False)
    lookups(f"SparseLengths{{}}{_codec.bits}BitRowwiseSparse", _codec, True)
