"""IndexHash: ids spread over a given number of buckets."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator

START, FACTOR = 0xDEADBEEF, 65537


class IndexHash(Operator):
    """A hash of each id, 0 <= hash < modulo, from its bytes; the same as Caffe2's.

    ValueError unless 0 < modulo <= the greatest number of the ids' dtype. Caffe2: operators/index_hash_ops.
    """

    contract = "Indices: integer -> HashedIndices: Indices"
    docs = {"Indices": "ids", "HashedIndices": "their hashes"}
    gradient = FORBIDDEN
    inplace = ((0, 0),)
    seed: int = Arg(0, doc="makes other hashes")
    modulo: int = Arg(0, doc="how many hashes there are; must be given")

    def run_cpu(self, ids: np.ndarray) -> Any:
        most = np.iinfo(ids.dtype).max
        if self.modulo <= 0:
            raise ValueError(f"modulo = {self.modulo}: MODULO should be > 0")
        if self.modulo > most:
            raise ValueError(f"modulo = {self.modulo}: MODULO shouldn't be larger than the numeric limit, {most}")
        width = 8 * ids.itemsize
        start = (self.seed * START + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)
        hashed = np.full(ids.shape, start, ids.dtype)
        for byte in np.moveaxis(ids[..., None].view(np.int8), -1, 0):
            hashed *= FACTOR
            hashed += byte
        return np.mod(hashed, self.modulo, out=self.out(0, ids.shape, ids.dtype))
