"""Records of nested columns as single values, and the other way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.fields import Fields

NAMES = "names of the fields, as CreateTreeCursor has them"


class Record:
    """The rows that one record has in each column."""

    def __init__(self, columns: Iterable[np.ndarray]):
        self.columns = tuple(columns)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Record)
            and len(self.columns) == len(other.columns)
            and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(self.columns, other.columns))
        )

    __hash__ = None  # type: ignore[assignment]


class Batch(tuple[Record, ...]):
    """Several records as one value."""

    __slots__ = ()


class PackRecords(Operator):
    """Puts each record of a dataset into one element of a tensor, for operators that move elements.

    dataset: the columns, one for each field. The output is an object array of Record, [records], or with
    pack_to_single_shared_ptr of one Batch, [1]. Raises ValueError where lengths say more rows than there are. Caffe2:
    operators/dataset_ops.
    """

    contract = "*dataset: any -> tensor: string[?]"
    docs = {
        "dataset": "the columns, one for each field",
        "tensor": "the records; UnPackRecords gives the columns again",
    }
    gradient = FORBIDDEN
    fields: list[str] = Arg((), doc=NAMES)
    pack_to_single_shared_ptr: bool = Arg(False, doc="whether to make one element of all records")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._fields = Fields(self.fields)

    def infer(self, *columns: TensorSpec) -> TensorSpec:
        return TensorSpec((1 if self.pack_to_single_shared_ptr else UNKNOWN,), np.dtype(object))

    def run_cpu(self, *columns: np.ndarray) -> np.ndarray:
        fields = self._fields
        count = fields.limits(columns)[0]
        bounds = fields.bounds(columns, [0] * (len(fields.counters) + 1), count)
        pieces = [
            np.split(column[: ends[-1]], ends[:-1]) if count else []
            for column, ends in ((column, bounds[1:, domain]) for column, domain in zip(columns, fields.domains))
        ]
        records = [Record(piece.copy() for piece in row) for row in zip(*pieces)]
        return np.fromiter([Batch(records)] if self.pack_to_single_shared_ptr else records, object)


class UnPackRecords(Operator):
    """The columns of records from PackRecords: output i is what they have of field i, one after the other.

    packed_tensor: records or batches of them; prototype: a tensor for each field that says dtype and shape of the rows,
    wanted where there may be no record. Raises ValueError where there is neither, where records have other than one
    tensor for each field, and where their tensors differ in dtype or shape. Caffe2: operators/dataset_ops.
    """

    contract = "packed_tensor: string, *prototype?: any -> *dataset: any[?]"
    docs = {
        "packed_tensor": "records from PackRecords",
        "prototype": "for each field a tensor of its dtype and shape, any number of rows",
        "dataset": "the columns, one for each field",
    }
    gradient = FORBIDDEN
    fields: list[str] = Arg((), doc=NAMES)

    def infer(self, packed: TensorSpec, *prototypes: TensorSpec) -> tuple[TensorSpec, ...]:
        if not prototypes:
            return tuple(TensorSpec() for _ in range(self.n_outputs))
        return tuple(TensorSpec((UNKNOWN, *spec.shape[1:]), spec.dtype) for spec in prototypes)

    def run_cpu(self, packed: np.ndarray, *prototypes: np.ndarray) -> tuple[np.ndarray, ...]:
        records = list(self._records(packed.reshape(-1).tolist()))
        if not records and not prototypes:
            raise ValueError("packed_tensor: has no record, and there is no prototype that says shapes")
        wanted = len(self.fields)
        counts = {"dataset": self.n_outputs, "prototype": len(prototypes) or wanted}
        counts |= {"packed_tensor": next((len(r.columns) for r in records if len(r.columns) != wanted), wanted)}
        for name, count in counts.items():
            if count != wanted:
                raise ValueError(f"{name}: has {count} tensors, there are {wanted} fields")
        empty = prototypes or records[0].columns
        return tuple(self._joined(i, like, [record.columns[i] for record in records]) for i, like in enumerate(empty))

    @staticmethod
    def _records(values: Iterable[Any]) -> Iterable[Record]:
        for value in values:
            if isinstance(value, Batch):
                yield from value
            elif isinstance(value, Record):
                yield value
            else:
                raise TypeError(f"packed_tensor: has {type(value).__name__} in it, wants records from PackRecords")

    def _joined(self, i: int, like: np.ndarray, pieces: list[np.ndarray]) -> np.ndarray:
        if not like.ndim:
            raise ValueError(f"prototype {i}: is a scalar, wants rows")
        for piece in pieces:
            if (piece.dtype, piece.shape[1:]) != (like.dtype, like.shape[1:]):
                raise ValueError(
                    f"packed_tensor: field {i} ({self.fields[i]}) is {piece.dtype}{list(piece.shape)}, wants "
                    f"{like.dtype} of rows {list(like.shape[1:])}"
                )
        return np.concatenate([like[:0], *pieces])


class TrimDataset(Operator):
    """Takes the last records off a dataset, so that as many are left as a multiple of `multiple_of`.

    dataset: the columns, in place; a dataset that is such a multiple already stays as it is. Raises ValueError where
    lengths say more rows than there are. Caffe2: operators/dataset_ops.
    """

    contract = "*dataset: any -> *dataset: any[?]"
    docs = {"dataset": "the columns, one for each field"}
    inplace = inplace_enforced = "input == output"
    fields: list[str] = Arg((), doc=NAMES)
    multiple_of: int = Arg(1, ge=1, doc="what the number of records is to be a multiple of")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._fields = Fields(self.fields)
        if self.n_inputs != self.n_outputs:
            raise ValueError(f"dataset: {self.n_outputs} outputs for {self.n_inputs} columns, wants as many")

    def infer(self, *columns: TensorSpec) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec((UNKNOWN, *spec.shape[1:]), spec.dtype) for spec in columns)

    def run_cpu(self, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
        fields = self._fields
        count = fields.limits(columns)[0]
        if count % self.multiple_of == 0:
            return columns
        kept = fields.sizes(columns, [0] * (len(fields.counters) + 1), count // self.multiple_of * self.multiple_of)
        return tuple(column[: kept[domain]].copy() for column, domain in zip(columns, fields.domains))


class CheckDatasetConsistency(Operator):
    """Raises ValueError where columns are no dataset of these fields: lengths and rows must agree everywhere.

    Caffe2: operators/dataset_ops.
    """

    contract = "*field: any ->"
    docs = {"field": "the columns, one for each field"}
    gradient = FORBIDDEN
    fields: list[str] = Arg((), doc=NAMES)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._fields = Fields(self.fields)

    def run_cpu(self, *columns: np.ndarray) -> None:
        fields = self._fields
        limits = fields.limits(columns)
        for i, (column, domain) in enumerate(zip(columns, fields.domains)):
            if len(column) != limits[domain]:
                raise ValueError(
                    f"field {i} ({fields.names[i]}): has {len(column)} rows, another field of its domain has "
                    f"{limits[domain]}"
                )
        for j, size in enumerate(fields.sizes(columns, [0] * len(limits), limits[0])):
            if size != limits[j] and j in fields.domains:
                name = fields.names[fields.counters[j - 1]]
                raise ValueError(f"field {fields.counters[j - 1]} ({name}): says {size} rows, there are {limits[j]}")
