"""Reading a dataset of nested columns batch by batch: in order, or in an order of one's own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.cursor import COLUMNS, TreeCursor, cursor_of
from caffe2ops.ops.data.minimal_standard import shuffled


class ReadsColumns(Operator):
    """Base: reads the columns of a dataset at a cursor."""

    gradient: ClassVar[Any] = FORBIDDEN
    given = 1  # inputs before the columns

    def infer(self, *inputs: Any) -> tuple[TensorSpec, ...]:
        columns = inputs[self.given :]
        return tuple(TensorSpec((UNKNOWN, *column.shape[1:]), column.dtype) for column in columns)

    def check_outputs(self, cursor: TreeCursor) -> None:
        """Raises ValueError where there are not as many outputs as fields."""
        if self.n_outputs != len(cursor.fields.names):
            raise ValueError(f"field: {self.n_outputs} outputs for {len(cursor.fields.names)} fields, wants as many")


class ReadNextBatch(ReadsColumns):
    """The next `batch_size` records: of each column the rows that belong to them.

    At the end there are fewer records, then none. With enforce_batch_size the last ones, where they are fewer, are
    passed over. Raises ValueError where lengths say more rows than there are. Caffe2: operators/dataset_ops.
    """

    contract = "cursor: blob, *dataset_field?: any -> *field: any[?]"
    docs = {**COLUMNS, "field": "the rows that were read, one output for each column"}
    batch_size: int = Arg(1, ge=0, doc="records to read")
    enforce_batch_size: bool = Arg(False, doc="whether to give no rows where fewer records are left")

    def run_cpu(self, cursor: Any, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
        cursor = cursor_of(cursor)
        self.check_outputs(cursor)
        with cursor.lock:
            starts = cursor.started()
            sizes = cursor.fields.sizes(columns, starts, self.batch_size)
            cursor.offsets = [start + size for start, size in zip(starts, sizes)]
        if self.enforce_batch_size and sizes[0] < self.batch_size:
            sizes = [0] * len(sizes)
        return tuple(
            column[starts[domain] : starts[domain] + sizes[domain]].copy()
            for column, domain in zip(columns, cursor.fields.domains)
        )


class ComputeOffset(ReadsColumns):
    """Where each record starts in each domain, for ReadRandomBatch: int64[records + 1, domains].

    Begins at the cursor, which it leaves at the start; past the last record the end is repeated. Caffe2:
    operators/dataset_ops.
    """

    contract = "cursor: blob, *dataset_field?: any -> field_0: int64[R, D]"
    docs = {**COLUMNS, "field_0": "the offsets; row i + 1 less row i is the size of record i"}
    infer = Operator.infer

    def run_cpu(self, cursor: Any, *columns: np.ndarray) -> np.ndarray:
        cursor = cursor_of(cursor)
        with cursor.lock:
            limit = cursor.fields.limits(columns)[0]
            found = cursor.fields.bounds(columns, cursor.started(), limit)
            cursor.offsets = [0] * found.shape[1]
        return found


class SortAndShuffle(ReadsColumns):
    """An order to read records in that is random and yet has alike ones together: int64[records].

    Records are sorted by a column, shuffled within runs of batch_size * shuffle_size (the last run is left as it is),
    then the batches are shuffled; what fills no batch comes last. The random numbers are the same in every run, those
    of Caffe2. Equal records keep their order. Raises ValueError where the column is none of the records' or not int32.
    Caffe2: operators/dataset_ops.
    """

    contract = "cursor: blob, *dataset_field?: any -> indices: int64[R]"
    docs = {**COLUMNS, "indices": "numbers of records"}
    gradient = None
    infer = Operator.infer
    sort_by_field_idx: int = Arg(1, ge=-1, doc="which column to sort by; -1: none")
    batch_size: int = Arg(1, ge=1, doc="records of a batch")
    shuffle_size: int = Arg(1, ge=1, doc="batches whose records are shuffled together")

    def run_cpu(self, cursor: Any, *columns: np.ndarray) -> np.ndarray:
        fields, key = cursor_of(cursor).fields, self.sort_by_field_idx
        fields.limits(columns)
        if key >= len(columns):
            raise ValueError(f"sort_by_field_idx: {key}, there are {len(columns)} fields")
        if key >= 0 and (fields.domains[key] or columns[key].dtype != np.int32):
            raise ValueError(
                f"sort_by_field_idx: field {key} ({fields.names[key]}) is {columns[key].dtype} of domain "
                f"{fields.domains[key]}, wants int32 of the records"
            )
        size, batch = len(columns[max(key, 0)]), self.batch_size
        order = np.arange(size) if key < 0 else np.argsort(columns[key].reshape(-1), kind="stable")
        run = batch * min(self.shuffle_size, size // batch if batch * self.shuffle_size > size else self.shuffle_size)
        if run > 1:
            for start in range(0, size - run, run):
                order[start : start + run] = shuffled(order[start : start + run])
        whole = size // batch * batch
        batches = order[:whole].reshape(-1, batch)
        return np.concatenate([batches[shuffled(np.arange(len(batches)))].reshape(-1), order[whole:]])


class ReadRandomBatch(ReadsColumns):
    """The next `batch_size` records in a given order: of each column the rows that belong to them.

    At the end of the order there are fewer records, then none; with loop_over it starts again. With enforce_batch_size
    the last ones, where they are fewer, are passed over. Raises ValueError for records and rows that are not there.
    Caffe2: operators/dataset_ops.
    """

    contract = "cursor: blob, idx?: int64, offsetsmat?: int64[R, D], *dataset_field?: any -> *field: any[?]"
    given = 3
    docs = {
        **COLUMNS,
        "idx": "numbers of the records, in the order to read them",
        "offsetsmat": "where each record starts in each domain, from ComputeOffset",
        "field": "the rows that were read, one output for each column",
    }
    batch_size: int = Arg(1, ge=0, doc="records to read")
    enforce_batch_size: bool = Arg(False, doc="whether to give no rows where fewer records are left")
    loop_over: bool = Arg(False, doc="whether to start again at the end")

    def run_cpu(self, cursor: Any, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        cursor = cursor_of(cursor)
        self.check_outputs(cursor)
        if len(inputs) != len(cursor.fields.names) + 2:
            raise ValueError(
                f"dataset_field: {len(inputs) + 1} inputs, wants cursor, idx, offsetsmat and "
                f"{len(cursor.fields.names)} columns"
            )
        order, offsets, *columns = inputs
        records = order.reshape(-1)[self._next(cursor, order.size)]
        if records.size and (records.min() < 0 or records.max() >= len(offsets) - 1):
            raise ValueError(f"idx: has {records.min()} to {records.max()}, there are {len(offsets) - 1} records")
        if max(cursor.fields.domains) >= offsets.shape[1]:
            raise ValueError(f"offsetsmat: has {offsets.shape[1]} domains, the fields want more")
        return tuple(
            self._rows(column, offsets[records, domain], offsets[records + 1, domain])
            for column, domain in zip(columns, cursor.fields.domains)
        )

    def _next(self, cursor: TreeCursor, size: int) -> slice:
        """The part of the order to read; moves the cursor."""
        with cursor.lock:
            start = at = cursor.started()[0]
            if self.enforce_batch_size and start + self.batch_size > size:
                start = size
            if self.loop_over and start >= size:
                start = at = 0
            cursor.offsets = [at + self.batch_size]
        return slice(start, start + self.batch_size)

    @staticmethod
    def _rows(column: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The rows of several ranges, one after the other."""
        if not column.ndim:
            raise ValueError("dataset_field: is a scalar, wants rows")
        if starts.size and (starts.min() < 0 or (starts > ends).any() or ends.max() > len(column)):
            raise ValueError(f"offsetsmat: has rows {starts.min()} to {ends.max()}, a column has {len(column)}")
        sizes = ends - starts
        return column[np.repeat(ends - np.cumsum(sizes), sizes) + np.arange(sizes.sum())]
