"""The fields of a nested dataset: columns of which some count the rows of others.

    a, b:lengths, b:values:lengths, b:values:values

Names are paths, parts separated by colons. A field whose last part is `lengths` opens a domain: it says how many rows
belong to each row of the domain it stands in. The rows of a field belong to the innermost domain whose path its name
begins with, else to domain 0, the records. Caffe2: operators/dataset_ops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SEPARATOR, LENGTHS = ":", "lengths"
Column = np.ndarray


class Fields:
    """Which column counts what.

    names: of the fields; `domains[i]` is the domain of field i; `counters[j]` the field that opens domain j + 1.
    Raises ValueError for a field that stands before the one that opens its domain.
    """

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        paths = [tuple(name.removesuffix(SEPARATOR).split(SEPARATOR)) for name in names]
        self.counters = [i for i, path in enumerate(paths) if path[-1] == LENGTHS]
        self.domains = [self._domain(i, paths) for i in range(len(paths))]

    def _domain(self, i: int, paths: Sequence[tuple[str, ...]]) -> int:
        domain, depth = 0, 1
        for j, counter in enumerate(self.counters):
            path = paths[counter]
            if counter != i and len(path) > depth and path[:-1] == paths[i][: len(path) - 1]:
                domain, depth = j + 1, len(path)
        if domain and self.counters[domain - 1] > i:
            counter = self.counters[domain - 1]
            raise ValueError(
                f"fields: field {i} ({self.names[i]}) depends on a field defined afterwards: {counter} "
                f"({self.names[counter]})"
            )
        return domain

    def limits(self, columns: Sequence[Column]) -> list[int]:
        """How many rows each domain has: those of its shortest column.

        Raises ValueError where columns do not fit the fields.
        """
        if not self.names or 0 not in self.domains:
            raise ValueError(f"fields: {list(self.names)} has none for the records")
        if len(columns) != len(self.names):
            raise ValueError(f"dataset: has {len(columns)} columns, there are {len(self.names)} fields")
        most = np.iinfo(np.int64).max
        limits = [int(most)] * (len(self.counters) + 1)
        for i, (column, domain) in enumerate(zip(columns, self.domains)):
            if not column.ndim:
                raise ValueError(f"dataset: field {i} ({self.names[i]}) is a scalar, wants rows")
            if i in self.counters and column.size and (column.dtype != np.int32 or column.size != len(column)):
                raise ValueError(
                    f"dataset: field {i} ({self.names[i]}) is {column.dtype}{list(column.shape)}, wants int32 lengths"
                )
            limits[domain] = min(limits[domain], len(column))
        return limits

    def sizes(self, columns: Sequence[Column], offsets: Sequence[int], count: int) -> list[int]:
        """How many rows of each domain the next `count` records have, fewer where there are fewer.

        offsets: where the next record starts in each domain. Raises ValueError where it starts behind the end, or
        lengths say more than there is.
        """
        limits = self.limits(columns)
        if len(offsets) != len(limits):
            raise ValueError(f"cursor: has {len(offsets)} offsets, its fields want {len(limits)}; reset it")
        if offsets[0] > limits[0]:
            raise ValueError(f"cursor: stands at record {offsets[0]}, past the end: there are {limits[0]}")
        sizes = [min(limits[0] - offsets[0], count)]
        for j, counter in enumerate(self.counters):
            parent = self.domains[counter]
            lengths = columns[counter].reshape(-1)[offsets[parent] : offsets[parent] + sizes[parent]]
            if lengths.size and lengths.min() < 0:
                raise ValueError(f"dataset: field {counter} ({self.names[counter]}) has the length {lengths.min()}")
            sizes.append(int(lengths.sum(dtype=np.int64)))
            self._check(j + 1, offsets[j + 1] + sizes[-1], limits)
        return sizes

    def bounds(self, columns: Sequence[Column], offsets: Sequence[int], count: int) -> np.ndarray:
        """int64[count + 1, domains]: where each of the next `count` records starts in each domain, and the last ends.

        Past the last record all start at the end. Raises ValueError as `sizes` does.
        """
        limits = self.limits(columns)
        self.sizes(columns, offsets, count)  # raises where columns, offsets and lengths do not fit
        found = np.empty((count + 1, len(limits)), np.int64)
        found[:, 0] = np.minimum(offsets[0] + np.arange(count + 1), limits[0])
        for j, counter in enumerate(self.counters):
            parent = found[:, self.domains[counter]]
            ends = np.concatenate([[0], np.cumsum(columns[counter].reshape(-1), dtype=np.int64)])
            found[:, j + 1] = offsets[j + 1] + ends[parent] - ends[parent[0]]
        return found

    def _check(self, domain: int, end: int, limits: Sequence[int]) -> None:
        if end > limits[domain]:
            name = self.names[self.counters[domain - 1]]
            raise ValueError(
                f"dataset: inconsistent field length: {name} says {end} rows, there are {limits[domain]}: tried to "
                f"advance past the end"
            )
