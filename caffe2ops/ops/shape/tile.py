"""Tile: a tensor repeated along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Array, Operator
from caffe2ops.ops.shape.axes import Shape, canonical_axis, known


class Repeated(Operator):
    """Base: how often and along which axis, as arguments or inputs."""

    tiles: int = Arg(None, doc="how often; wanted unless it is an input")
    axis: int = Arg(None, doc="along which axis; wanted unless it is an input")

    def _given(self, name: str, value: Array | None) -> int:
        if value is not None:
            if value.size != 1:
                raise ValueError(f"{name}: has {value.size} elements, wants 1")
            return int(value.reshape(-1)[0])
        given: int | None = getattr(self, name)
        if given is None:
            raise ValueError(f"{name}: missing, wants an argument or an input")
        return given

    def _where(self, shape: Shape, tiles: Array | None, axis: Array | None) -> tuple[int, int]:
        count = self._given("tiles", tiles)
        if count < 0:
            raise ValueError(f"tiles = {count}, wants 0 or more")
        return count, self._along(shape, tiles, axis)

    def _along(self, shape: Shape, tiles: Any, axis: Array | None) -> int:
        """The axis of a tensor of this shape."""
        along = canonical_axis(self._given("axis", axis), len(shape))
        return 0 if axis is None and tiles is not None and tiles.dtype == np.int64 else along

    def _scaled(self, shape: Shape, tiles: Any, axis: int) -> Shape:
        raise NotImplementedError

    def infer(self, x: TensorSpec, tiles: TensorSpec | None = None, axis: TensorSpec | None = None) -> TensorSpec:
        if axis is not None or (tiles is not None and tiles.dtype is None):
            return TensorSpec((UNKNOWN,) * x.ndim, x.dtype)
        count: Any = UNKNOWN if tiles is not None else self._given("tiles", None)
        return TensorSpec(self._scaled(x.shape, count, self._along(x.shape, tiles, None)), x.dtype)


class Tile(Repeated):
    """X repeated along an axis: tiles and axis are arguments, or inputs of one element.

    Any dtype. Where tiles is an int64 input and axis is an argument, Caffe2 repeats along axis 0 whatever the argument
    says, and so does this. Raises ValueError for negative tiles. Caffe2: operators/tile_op.
    """

    contract = "X: any, tiles?: integer, axis?: integer -> Y: X[?]"
    docs = {
        "X": "a tensor of at least one dimension",
        "tiles": "how often",
        "axis": "along which axis",
        "Y": "X, repeated",
    }
    gradient = "TileGradient(dY, tiles?, axis?) -> dX"

    def _scaled(self, shape: Shape, tiles: Any, axis: int) -> Shape:
        return (*shape[:axis], shape[axis] * tiles, *shape[axis + 1 :])

    def run_cpu(self, x: Array, tiles: Array | None = None, axis: Array | None = None) -> Array:
        count, along = self._where(x.shape, tiles, axis)
        y = self.out(0, self._scaled(x.shape, count, along), x.dtype)
        y.reshape(*x.shape[:along], count, *x.shape[along:])[...] = x[(slice(None),) * along + (None,)]
        return y

    run_cuda = run_cpu


class TileGradient(Repeated):
    """The gradient of Tile: the sum of dY over the repetitions."""

    contract = "dY: number, tiles?: integer, axis?: integer -> dX: dY[?]"
    docs = {"dY": "gradient of Y", "tiles": "how often", "axis": "along which axis", "dX": "gradient of X"}

    def _scaled(self, shape: Shape, tiles: Any, axis: int) -> Shape:
        if known(tiles) and (tiles == 0 or (known(shape[axis]) and shape[axis] % tiles)):
            raise ValueError(f"dY: dim {axis} is {shape[axis]}, which is not {tiles} times anything")
        return (*shape[:axis], shape[axis] // tiles, *shape[axis + 1 :])

    def run_cpu(self, dy: Array, tiles: Array | None = None, axis: Array | None = None) -> Array:
        count, along = self._where(dy.shape, tiles, axis)
        shape = self._scaled(dy.shape, count, along)
        return dy.reshape(*shape[:along], count, *shape[along:]).sum(
            axis=along, dtype=dy.dtype, out=self.out(0, shape, dy.dtype)
        )

    run_cuda = run_cpu
