"""ReservoirSampling keeps a fair sample of all rows that it has ever been given."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.fill.mt19937 import WORD, Generator, generator_of
from caffe2ops.ops.index.map import Map

KINDS = (np.dtype(np.int64), np.dtype(np.int32))  # of objects and their places


class ReservoirSampling(Operator):
    """Takes rows of DATA into a reservoir of `num_to_collect`; each row ever seen is in it with equal chance.

    Rows fill the reservoir first. Then row number v takes a random place among 0 .. v, and is dropped where that lies
    beyond the reservoir; bit-equal to Caffe2 for the same seed. With OBJECT_ID a row whose object is in the reservoir,
    or came before in DATA, is passed over. An empty reservoir starts anew, whatever the other inputs say.

    Raises ValueError for rows of another shape than those collected, and where NUM_VISITED or the places of objects do
    not fit the reservoir (Caffe2 reads what was never written). Caffe2: operators/reservoir_sampling.
    """

    contract = (
        "RESERVOIR: any, NUM_VISITED: int64, DATA: any, MUTEX: blob, OBJECT_ID?: int64, OBJECT_TO_POS_MAP_IN?: blob, "
        "POS_TO_OBJECT_IN?: int64 "
        "-> RESERVOIR: DATA[?], NUM_VISITED: NUM_VISITED, OBJECT_TO_POS_MAP?: blob, POS_TO_OBJECT?: int64[?]"
    )
    arity = ((4, 2), (7, 4))
    inplace = inplace_enforced = ((0, 0), (1, 1), (5, 2), (6, 3))
    mutex = "MUTEX"
    docs = {
        "RESERVOIR": "the rows collected, empty at first",
        "NUM_VISITED": "how many rows have been looked at, one element",
        "DATA": "rows to choose from",
        "MUTEX": "from CreateMutex; held meanwhile",
        "OBJECT_ID": "the object of each row",
        "OBJECT_TO_POS_MAP_IN": "from CreateMap, int64 to int32: where an object is in the reservoir",
        "POS_TO_OBJECT_IN": "the object of each row of the reservoir",
        "OBJECT_TO_POS_MAP": "the same, kept up to date",
        "POS_TO_OBJECT": "the same, kept up to date",
    }
    gradient = FORBIDDEN
    num_to_collect: int = Arg(ge=1, doc="the most rows that the reservoir holds")

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def infer(self, reservoir: TensorSpec, visited: TensorSpec, data: TensorSpec, *rest: Any) -> tuple[Any, ...]:
        rows = TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype)
        return rows, visited, None, TensorSpec((UNKNOWN,), np.dtype(np.int64))

    def run_cpu(
        self,
        reservoir: np.ndarray,
        visited: np.ndarray,
        data: np.ndarray,
        mutex: Any,
        ids: np.ndarray | None = None,
        places: Any = None,
        objects: Any = None,
    ) -> Any:
        if ids is not None and (kinds := held("OBJECT_TO_POS_MAP_IN", places, Map, "CreateMap").dtypes) != KINDS:
            raise TypeError(f"OBJECT_TO_POS_MAP_IN: maps {kinds[0]} to {kinds[1]}, wants int64 to int32")
        if not data.ndim:
            raise ValueError("DATA: is a scalar, wants rows")
        if visited.size != 1:
            raise ValueError(f"NUM_VISITED: has {visited.size} elements, wants 1")
        if not reservoir.size or reservoir.flat[0] is None:
            reservoir, objects = data[:0], np.zeros(0, np.int64)
            visited[...] = 0
            if places is not None:
                places.entries.clear()
        self._check(reservoir, int(visited.reshape(-1)[0]), data, ids, objects)
        fresh = np.arange(len(data)) if ids is None else _first_of_each(ids, places.entries)
        positions = self._positions(int(visited.reshape(-1)[0]), fresh.size)
        visited += fresh.size
        fresh, positions = fresh[positions < self.num_to_collect], positions[positions < self.num_to_collect]
        collected = _placed(reservoir, positions, data[fresh])
        if ids is None:
            return collected, visited
        touched = np.unique(positions)
        for gone in objects[touched[touched < objects.size]].tolist():
            places.entries.pop(gone, None)
        objects = _placed(objects, positions, ids[fresh])
        places.entries.update(zip(objects[touched].tolist(), touched.tolist()))
        return collected, visited, places, objects

    def _check(self, reservoir: np.ndarray, visited: int, data: np.ndarray, ids: Any, objects: Any) -> None:
        if reservoir.shape[1:] != data.shape[1:] or reservoir.dtype != data.dtype:
            raise ValueError(
                f"DATA: has rows of {data.dtype}{list(data.shape[1:])}, RESERVOIR "
                f"{reservoir.dtype}{list(reservoir.shape[1:])}"
            )
        if not 0 <= visited < WORD - len(data) or len(reservoir) != min(visited, self.num_to_collect):
            raise ValueError(f"NUM_VISITED: is {visited}, RESERVOIR has {len(reservoir)} of {self.num_to_collect} rows")
        if ids is not None and ids.shape != data.shape[:1]:
            raise ValueError(f"OBJECT_ID: shape is {list(ids.shape)}, wants {list(data.shape[:1])}, one a row of DATA")
        if ids is not None and objects.shape != reservoir.shape[:1]:
            raise ValueError(f"POS_TO_OBJECT_IN: shape is {list(objects.shape)}, wants {list(reservoir.shape[:1])}")

    def _positions(self, visited: int, count: int) -> np.ndarray:
        """Where the next rows go: a random word modulo the number of places; from `num_to_collect` on nowhere."""
        numbers = np.arange(visited, visited + count)
        late = numbers[numbers >= self.num_to_collect]
        words = self.generator.integers(late.size, -WORD // 2, WORD // 2 - 1).astype(np.int64) + WORD // 2
        return np.concatenate((numbers[: count - late.size], words % (late + 1)))


def _first_of_each(ids: np.ndarray, places: dict[int, int]) -> np.ndarray:
    """Where the objects that have no place yet come first, ascending."""
    first = np.sort(np.unique(ids, return_index=True)[1])
    return first[np.array([i not in places for i in ids[first].tolist()], bool)]


def _placed(held: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`held`, longer if need be, with rows at these positions; the last of several at one position stays."""
    size = max(len(held), int(positions.max(initial=-1)) + 1)
    out = np.empty((size, *held.shape[1:]), held.dtype)
    out[: len(held)] = held
    out[positions] = rows
    return out
