"""Rows dealt out by key: by what it leaves over, divided by the number of parts, and put together again; KeySplit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.gradient_rules import GradientSlice
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from caffe2ops.ops.shape.axes import show

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


def shards(keys: np.ndarray, count: int) -> list[np.ndarray]:
    """For each of `count` shards the places of its keys: those that leave its number over, divided by `count`."""
    shard = np.mod(keys.reshape(-1), count).astype(np.int16 if count < 2**15 else np.int64)
    order = np.argsort(shard, kind="stable")
    return np.split(order, np.cumsum(np.bincount(shard, minlength=count))[:-1])


class Sharding(Operator):
    """Base: outputs are those of all inputs for the first shard, then for the second, and so on."""

    gradient = NO_GRADIENT
    pack_first_input: bool = Arg(
        False, doc="whether the keys are divided by the number of partitions, rounding down, after they chose theirs"
    )

    @property
    def partitions(self) -> int:
        return self.n_outputs // self.n_inputs

    def split(self, places: list[np.ndarray], keys: np.ndarray, more: tuple[np.ndarray, ...]) -> list[list[np.ndarray]]:
        """For each shard its rows of the keys and of the other inputs. Raises ValueError for one of other dims."""
        for i, x in enumerate(more):
            if x.shape[: keys.ndim] != keys.shape:
                raise ValueError(
                    f"more {i}: shape is {show(x.shape)}, wants to start as the keys' does, {show(keys.shape)}"
                )
        rows = [(keys // self.partitions if self.pack_first_input else keys).reshape(-1)]
        rows += [x.reshape(keys.size, *x.shape[keys.ndim :]) for x in more]
        return [[x[at] for x in rows] for at in places]

    def partition_specs(self, keys: TensorSpec, more: tuple[TensorSpec, ...]) -> list[TensorSpec]:
        """Specs of one shard's rows."""
        specs = [TensorSpec((UNKNOWN,), keys.dtype)]
        return specs + [TensorSpec((UNKNOWN, *x.shape[keys.ndim :]), x.dtype) for x in more]


class Partition(Sharding):
    """Splits rows into partitions: where key mod partitions is j, that of the remainder j of 0 or more.

    There are as many partitions as outputs for each input; their outputs are keys_0, more_0, ..., keys_1, more_1, ...
    ValueError where another input does not have the keys' dims. Caffe2: operators/partition_ops.
    """

    contract = "input: integer, *more?: any -> *partitions: any[?]"
    arity = "outputs % inputs == 0"
    docs = {
        "input": "the keys",
        "more": "tensors whose first dims are those of the keys",
        "partitions": "the keys and rows of one partition after the other",
    }

    def infer(self, keys: TensorSpec, *more: TensorSpec) -> list[TensorSpec]:
        return self.partition_specs(keys, more) * self.partitions

    def run_cpu(self, keys: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
        return [x for rows in self.split(shards(keys, self.partitions), keys, more) for x in rows]


class LengthsPartition(Sharding):
    """Partition of segments: `input` has the lengths of the segments that the keys, its second input, make up.

    Outputs are lengths_0, keys_0, more_0, ..., lengths_1, ...: of each segment the part that goes there. ValueError
    for negative lengths or a sum that is not the number of keys. Caffe2: operators/partition_ops.
    """

    contract = "input: int32, keys: integer[N], *more?: any -> *partitions: any[?]"
    arity = "outputs % inputs == 0"
    docs = {
        "input": "lengths of the segments",
        "keys": "the keys, segment by segment",
        "more": "tensors with as many rows as there are keys",
        "partitions": "lengths, keys and rows of one partition after the other",
    }

    def infer(self, lengths: TensorSpec, keys: TensorSpec, *more: TensorSpec) -> list[TensorSpec]:
        own = TensorSpec((lengths.size,), lengths.dtype)
        return [own, *self.partition_specs(keys, more)] * self.partitions

    def run_cpu(self, lengths: np.ndarray, keys: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
        lengths = lengths.reshape(-1)
        segments = np.repeat(np.arange(len(lengths)), checked_lengths(lengths, len(keys), "keys", name="input"))
        places = shards(keys, self.partitions)
        outputs: list[np.ndarray] = []
        for at, rows in zip(places, self.split(places, keys, more)):
            outputs += [np.bincount(segments[at], minlength=len(lengths)).astype(np.int32), *rows]
        return outputs


class GatherByKey(Operator):
    """Puts together what Partition of these keys, with as many partitions, has split.

    ValueError where a partition has not as many rows as keys belong to it, or rows are of another size or dtype.
    Caffe2: operators/partition_ops.
    """

    contract = "keys: integer[N], *sharded_values: any -> values: any[?]"
    docs = {"keys": "the keys of Partition", "sharded_values": "rows of each partition", "values": "a row for each key"}
    pack_first_input: bool = Arg(False, doc="handed on to the gradient, a Partition whose keys nobody reads")

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        parts, names = range(1, len(g.def_.input)), list[tuple[str, ...]]()
        if isinstance(g.output_gradients[0], GradientSlice):
            given = [g.GO_indices(0), g.GO_values(0)]
            names = [(g.GI_indices(i), g.GI_values(i)) for i in parts]
        else:
            given, names = [g.GO(0)], [(g.GI(i),) for i in parts]
        made = [name for part in names for name in (f"_{part[0]}_keys", *part)]
        pack = g.def_.args.get("pack_first_input", 0)
        return [g.op("Partition", [g.I(0), *given], made, pack_first_input=pack)]

    def infer(self, keys: TensorSpec, *values: TensorSpec) -> TensorSpec:
        return TensorSpec((*keys.shape, *values[0].shape[1:]), values[0].dtype)

    def run_cpu(self, keys: np.ndarray, *values: np.ndarray) -> Any:
        row, dtype = values[0].shape[1:], values[0].dtype
        out = self.out(0, (*keys.shape, *row), dtype)
        for i, (at, x) in enumerate(zip(shards(keys, len(values)), values)):
            if x.dtype != dtype:
                raise TypeError(f"sharded_values {i}: dtype is {x.dtype}, wants that of sharded_values 0, {dtype}")
            if x.shape != (len(at), *row):
                raise ValueError(f"sharded_values {i}: shape is {show(x.shape)}, wants {show((len(at), *row))}")
            out[at] = x
        return out


class KeySplit(Operator):
    """Output k has the places of the keys that are k: int32, ascending.

    Raises ValueError where there are not as many outputs as keys are allowed, and IndexError for a key that is not
    0 to categorical_limit - 1. Caffe2: operators/key_split_ops.
    """

    contract = "keys: int64 -> *places: int32[?]"
    docs = {"keys": "any shape, read row by row", "places": "one output for each key"}
    categorical_limit: int = Arg(gt=0, doc="how many keys there are")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.n_outputs != self.categorical_limit:
            raise ValueError(f"categorical_limit: {self.categorical_limit}, there are {self.n_outputs} outputs")

    def infer(self, keys: TensorSpec) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec((UNKNOWN,), np.int32) for _ in range(self.n_outputs))

    def run_cpu(self, keys: np.ndarray) -> tuple[np.ndarray, ...]:
        keys = keys.reshape(-1)
        if keys.size and (keys.min() < 0 or keys.max() >= self.categorical_limit):
            raise IndexError(f"keys: are {keys.min()} to {keys.max()}, wants 0 to {self.categorical_limit - 1}")
        places = np.argsort(keys, kind="stable").astype(np.int32)
        ends = np.cumsum(np.bincount(keys, minlength=self.categorical_limit))
        return tuple(part.copy() for part in np.split(places, ends[:-1]))
