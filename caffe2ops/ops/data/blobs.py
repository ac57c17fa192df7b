"""Blobs of a workspace as such: their names and sizes, many scaled at once, laid out together, emptied."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Array, Operator
from caffe2ops.ops.data.save import BFLOAT16, option_of, options_of

CHUNK, OVERHEAD, TEXT_OVERHEAD = 1_000_000, 50, 20  # elements; bytes of a chunk, of a string blob
# Bytes that an element is estimated to take; 2 for those of bfloat16.
SIZES = {"bool": 1, "int8": 2, "uint8": 2, "int16": 3, "uint16": 3, "float16": 3, "int32": 4, "float32": 4}
SIZES |= {"int64": 8, "float64": 8, "object": 50}


class FeedBlob(Operator):
    """Puts a string into a blob. Caffe2: operators/feed_blob_op."""

    contract = "-> blob: blob"
    docs = {"blob": "the string"}
    gradient = FORBIDDEN
    value: bytes = Arg(doc="the string")

    def run_cpu(self) -> bytes:
        return self.value


class Free(Operator):
    """Empties blobs. Caffe2: operators/free_op."""

    contract = "*X: blob -> *X: blob"
    docs = {"X": "what is emptied, in place"}
    inplace = inplace_enforced = "input == output"
    gradient = FORBIDDEN

    def run_cpu(self, *values: Any) -> tuple[None, ...]:
        return (None,) * self.n_outputs

    run_cuda = run_cpu


class ScaleBlobs(Operator):
    """Y_i = scale X_i, for any number of tensors. Caffe2: operators/scale_blobs_op."""

    contract = "*X: float -> *Y: X[?]"
    docs = {"X": "tensors of any shape", "Y": "one like each of them"}
    inplace = "any"
    scale: float = Arg(1.0, doc="the factor")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_inputs != self.n_outputs:
            raise ValueError(f"Y: {self.n_outputs} outputs for {self.n_inputs} inputs, wants as many")

    def infer(self, *specs: TensorSpec) -> tuple[TensorSpec, ...]:
        return specs

    def run_cpu(self, *values: Array) -> tuple[Array, ...]:
        scaled = []
        for i, x in enumerate(values):
            y = self.out(i, x.shape, x.dtype)
            y[...] = x * x.dtype.type(self.scale)
            scaled.append(y)
        return tuple(scaled)

    run_cuda = run_cpu


class UnsafeCoalesce(Operator):
    """Lays tensors out one behind the other in one vector, of which they become parts: who writes to it writes to them.

    Raises ValueError for an input that is another part of the vector already. Caffe2: operators/unsafe_coalesce.
    """

    contract = "*X?: float32 -> *Y?: float32[?], coalesced: float32[?]"
    docs = {
        "X": "tensors",
        "Y": "the tensors as parts of the vector, shapes as before, one for each",
        "coalesced": "the vector",
    }
    arity = "outputs == inputs + 1"
    inplace = "input == output"

    def infer(self, *specs: TensorSpec) -> tuple[TensorSpec, ...]:
        return *specs, TensorSpec((sum(spec.size for spec in specs),), np.float32)

    def run_cpu(self, *values: np.ndarray) -> tuple[np.ndarray, ...]:
        whole: np.ndarray = self.out(self.n_inputs, (sum(x.size for x in values),), np.float32)
        parts, start = [], 0
        for i, x in enumerate(values):
            part = whole[start : start + x.size].reshape(x.shape)
            if x.size and np.may_share_memory(x, whole):
                if x.ctypes.data != part.ctypes.data:
                    raise ValueError(f"X {i}: is another part of the output {self.op_def.output[-1]!r} already")
                part = x
            else:
                part[...] = x
            parts.append(part)
            start += x.size
        return *parts, whole


class NamesBlobs(Operator):
    """Base: asks for the blobs of the workspace."""

    include_shared: bool = Arg(True, doc="whether blobs of the parents of the workspace count")

    def names(self) -> list[str]:
        """Names of all blobs, sorted; those of the workspace itself first."""
        return self.workspace.blobs() if self.include_shared else self.workspace.local_blobs()


def strings(names: list[str]) -> np.ndarray:
    """A tensor of strings."""
    return np.fromiter((name.encode() for name in names), object)


class GetAllBlobNames(NamesBlobs):
    """Names of all blobs: string[N], sorted. Caffe2: operators/workspace_ops; there in no order."""

    contract = "-> blob_names: string[N]"
    docs = {"blob_names": "the names"}

    def run_cpu(self) -> np.ndarray:
        return strings(self.names())


class EstimateAllBlobSizes(NamesBlobs):
    """About how many bytes each blob would take when saved.

    Of a tensor: its elements, plus for each chunk 50 bytes and its name; of a string its bytes, 20 more, and its name;
    of others 0. Caffe2: operators/load_save_op; there in no order.
    """

    contract = "-> blob_names: string[N], blob_sizes: int64[N]"
    docs = {"blob_names": "names of all blobs, sorted", "blob_sizes": "estimated bytes"}
    options: bytes = Arg(b"", doc="a serialized SerializationOptions, as Save takes it")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._options = options_of(self.options)

    def run_cpu(self) -> tuple[np.ndarray, np.ndarray]:
        names = strings(self.names())
        sizes = np.zeros(len(names), np.int64)
        written = dict(zip(self.op_def.output, (names, sizes)))
        for i, name in enumerate(self.names()):
            blob = self.workspace.find(name)
            sizes[i] = self._size(name, written.get(name, blob and blob.value))
        return names, sizes

    def _size(self, name: str, value: Any) -> int:
        if isinstance(value, bytes):
            return len(value) + len(name) + TEXT_OVERHEAD
        if not hasattr(value, "dtype") or not value.size:
            return 0
        option = option_of(name, self._options)
        chunk = option.chunk_size if option is not None else 0
        size = SIZES[value.dtype.name]
        if option is not None and option.float_format == BFLOAT16 and value.dtype == np.float32:
            size = 2
        chunks = 1 if chunk < 0 else -(-value.size // (chunk or CHUNK))
        return int(chunks * (len(name) + OVERHEAD) + value.size * size)
