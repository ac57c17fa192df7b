"""Patches of images on CUDA arrays, axis by axis, and the images that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.conv.geometry import Window

_FLOATS = ("float32", "float64")
_SIZES = "between size inner first second first_step second_step head"
_GATHER = Elementwise(
    "const long long c = i % inner, s = i / inner % second, b = i / inner / second % between; "
    "const long long af = i / inner / second / between, x = af % first * first_step + s * second_step - head; "
    "Y = x < 0 || x >= size ? T(0) : X[((af / first * between + b) * size + x) * inner + c];",
    outputs="Y", tables="X", int_scalars=_SIZES, dtypes=_FLOATS, name="patches_of_axis",
)  # fmt: skip
_FOLD = Elementwise(
    "const long long c = i % inner, x = i / inner % size + head, b = i / inner / size % between; "
    "const long long a = i / inner / size / between, over = x - (second - 1) * second_step; T sum = 0; "
    "for (long long f = over > 0 ? (over + first_step - 1) / first_step : 0; f < first && f * first_step <= x; ++f) { "
    "const long long rest = x - f * first_step; if (rest % second_step == 0) "
    "sum += X[(((a * first + f) * between + b) * second + rest / second_step) * inner + c]; } Y = sum;",
    outputs="Y", tables="X", int_scalars=_SIZES, dtypes=_FLOATS, name="sums_of_patches",
)  # fmt: skip


class Step(NamedTuple):
    """An axis of images [outer, between, size, inner] and its patches [outer, first, between, second, inner].

    Taps come first and places second, channels last the other way round. Patch element (f, s) is the axis' element
    f * first_step + s * second_step - head, 0 beyond its ends.
    """

    outer: int
    between: int
    size: int
    inner: int
    first: int
    second: int
    first_step: int
    second_step: int
    head: int

    @property
    def idle(self) -> bool:
        """Whether the patches are the axis as it lies."""
        taps_first = (self.first, self.second, self.second_step) == (1, self.size, 1)
        places_first = (self.between, self.second, self.first, self.first_step) == (1, 1, self.size, 1)
        return self.head == 0 and (taps_first or places_first)

    def run(self, kernel: Elementwise, array: Any, out: Any | None) -> Any:
        """Patches of the axis, or with _FOLD their sums, written to `out` where it is given."""
        import cupy

        named = self._asdict()
        outer = named.pop("outer")
        if out is None:
            patches = (outer, self.first, self.between, self.second, self.inner)
            shape = patches if kernel is _GATHER else (outer, self.between, self.size, self.inner)
            out = cupy.empty(shape, array.dtype)
        return kernel(out=out, X=array, **named)


def steps_of(windows: Sequence[Window], outer: int, between: int, inner: int, channels_last: bool) -> list[Step]:
    """The steps from images [outer, between, spatial..., inner] to columns [outer, taps..., between, places..., inner].

    Channels last: [outer, places..., between, taps..., inner].
    """
    steps = []
    inner *= prod(w.size for w in windows)
    for w in windows:
        inner //= w.size
        first, second = (w.kernel, w.dilation), (w.out, w.stride)
        if channels_last:
            first, second = second, first
        steps.append(Step(outer, between, w.size, inner, first[0], second[0], first[1], second[1], w.head))
        outer, between = outer * first[0], between * second[0]
    return steps


def gather(images: Any, steps: Sequence[Step], out: Any | None = None) -> Any:
    """The columns of images, by all steps; `out` may be given for the last."""
    for left, step in zip(reversed(range(len(steps))), steps):
        images = step.run(_GATHER, images, None if left else out)
    return images


def fold(columns: Any, steps: Sequence[Step], out: Any | None = None) -> Any:
    """The images that columns add up to, by all steps from the last; `out` may be given for the first."""
    for left, step in zip(reversed(range(len(steps))), reversed(steps)):
        columns = step.run(_FOLD, columns, None if left else out)
    return columns
