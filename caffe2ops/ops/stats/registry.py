"""Operators that make, read and add to registries of counters."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.stats.counters import GREATEST, LEAST, Average, StatRegistry, registry_of

VALUE = "value: float32|float64|float16|int32|int64|uint8|int8|uint16|int16 ->"  # of the operators that count


class StatRegistryCreate(Operator):
    """Makes an empty registry of counters. Caffe2: operators/stats_ops."""

    contract = "-> handle: blob"
    docs = {"handle": "the registry"}

    def run_cpu(self) -> StatRegistry:
        return StatRegistry()


class UsesRegistry(Operator):
    """Base: a registry in a blob, else that of the workspace."""

    docs = {
        "handle": "from StatRegistryCreate; without it the registry of the workspace",
        "keys": "names of counters",
        "values": "what they stand at, or what is added",
        "timestamps": "when they were read, nanoseconds since 1970",
    }

    def registry(self, handle: Any) -> StatRegistry:
        if handle is None:
            return registry_of(self.workspace)
        return held("handle", handle, StatRegistry, "StatRegistryCreate")


class StatRegistryExport(UsesRegistry):
    """All counters of a registry, in the order they were made (in Caffe2 in any order).

    Caffe2: operators/stats_ops.
    """

    contract = "handle?: blob -> keys: string[?], values: int64[?], timestamps: int64[?]"
    reset: bool = Arg(True, doc="whether the counters are set to 0 then")

    def infer(self, handle: Any = None) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec((UNKNOWN,), np.dtype(dtype)) for dtype in (object, np.int64, np.int64))

    def run_cpu(self, handle: Any = None) -> Any:
        found = self.registry(handle).export(self.reset)
        keys = np.fromiter((key.encode() for key, _, _ in found), object)
        return keys, *(np.array([item[i] for item in found], np.int64) for i in (1, 2))


class StatRegistryUpdate(UsesRegistry):
    """Adds values to the counters of these names; those that are new start at 0.

    Raises ValueError unless there are as many values as keys. Caffe2: operators/stats_ops.
    """

    contract = "keys: string, values: int64, handle?: blob ->"

    def run_cpu(self, keys: np.ndarray, values: np.ndarray, handle: Any = None) -> None:
        if keys.size != values.size:
            raise ValueError(f"values: has {values.size} elements, keys has {keys.size}")
        registry = self.registry(handle)
        for key, value in zip(keys.ravel().tolist(), values.ravel().tolist()):
            registry.add(key.decode(), value)


class Put(Operator):
    """Base: counts the first element of a tensor, times `magnitude_expand`, as a whole number."""

    docs = {"value": "a tensor; its first element counts"}
    name: str = Arg("", doc="means nothing, as in Caffe2: see stat_name")
    stat_name: str = Arg("", doc="the counters' names begin with it; by default with the input's name")
    magnitude_expand: int = Arg(1, ge=1, doc="what the value is multiplied by; fractions are cut off then")
    bound: bool = Arg(False, doc="count a value that is too great as the greatest int64 (or least), and NaN as 0")
    default_value: float = Arg(0.0, doc="what an empty tensor counts as; without it one is refused")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.key = f"{self.stat_name if self.has_arg('stat_name') else self.op_def.input[0]}/stat_value"
        self.registry = registry_of(self.workspace)

    def run_cpu(self, value: np.ndarray) -> None:
        if not value.size and not self.has_arg("default_value"):
            raise ValueError("value: is empty: Default value must be provided when receiving empty tensors")
        self.add(self._whole(value.flat[0] if value.size else value.dtype.type(self.default_value)))

    def add(self, value: int) -> None:
        """Counts a value."""
        raise NotImplementedError

    def _whole(self, value: Any) -> int:
        number = value.item()
        if number != number:
            if self.bound:
                return 0
            raise ValueError("value: Input value cannot be NaN!")
        with np.errstate(over="ignore"):
            product = number * self.magnitude_expand
            if value.dtype.kind == "f":
                product = (value * value.dtype.type(self.magnitude_expand)).item()
        if abs(number) < GREATEST // self.magnitude_expand and abs(product) <= GREATEST:
            return int(product)
        if self.bound:
            return GREATEST if number > 0 else LEAST
        raise ValueError(f"value: {number}: Input value is too large for the given magnitude expansion!")


class IncrementPut(Put):
    """Adds to the counter NAME/stat_value. Caffe2: operators/stats_put_ops.

    Raises ValueError for an empty tensor without `default_value`, and for NaN or a product beyond int64 unless `bound`.
    """

    contract = VALUE

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.registry.add(self.key)

    def add(self, value: int) -> None:
        self.registry.add(self.key, value)


class AveragePut(Put):
    """Adds to the counters NAME/stat_value/sum and NAME/stat_value/count. Caffe2: operators/stats_put_ops.

    Raises ValueError for an empty tensor without `default_value`, and for NaN or a product beyond int64 unless `bound`.
    """

    contract = VALUE

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.average = Average(self.registry, self.key)

    def add(self, value: int) -> None:
        self.average.add(value)


class StdDevPut(AveragePut):
    """Adds to the counters of AveragePut, and to sumoffset and sumsqoffset the distance from an earlier value and its
    square.

    As in Caffe2 the earlier value is that of the run before, or that of this run itself in every other run, so that the
    two underrate the spread. Caffe2: operators/stats_put_ops.
    """

    contract = VALUE

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.runs, self.offset = 0, 0
        for part in ("sumsqoffset", "sumoffset"):
            self.registry.add(f"{self.key}/{part}")

    def add(self, value: int) -> None:
        if self.runs % 2 == 0:
            self.offset = value
        self.runs += 1
        super().add(value)
        self.registry.add(f"{self.key}/sumsqoffset", (value - self.offset) ** 2)
        self.registry.add(f"{self.key}/sumoffset", value - self.offset)
