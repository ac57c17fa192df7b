"""Sliding windows over the spatial axes of images: arguments in Caffe2's spellings, sizes, padding, channel order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from caffe2ops.infer import UNKNOWN, Unknown
from caffe2ops.operator import Arg
from caffe2ops.settled import Settled

# The list for all axes -> the one number for all axes, the numbers of a 2-D window one by one.
SPELLINGS = {
    "kernels": ("kernel", ("kernel_h", "kernel_w")),
    "strides": ("stride", ("stride_h", "stride_w")),
    "dilations": ("dilation", ("dilation_h", "dilation_w")),
    "pads": ("pad", ("pad_t", "pad_l", "pad_b", "pad_r")),
    "adjs": ("adj", ("adj_h", "adj_w")),
}
NOTSET, VALID, SAME, CAFFE_LEGACY_POOLING = range(4)


class Window(NamedTuple):
    """The window along an axis of `size` elements: `out` positions, the first `head` elements before the axis."""

    size: int
    kernel: int
    stride: int
    dilation: int
    head: int
    tail: int
    out: int

    @property
    def extent(self) -> int:
        """How many elements a window spans."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def plain(self) -> bool:
        """Whether the windows are the elements themselves."""
        return self.kernel == self.stride == 1 and self.head == self.tail == 0

    def span(self, tap: int) -> tuple[slice, slice]:
        """The positions whose tap lies inside the axis, and the elements that it meets there."""
        first = tap * self.dilation - self.head
        low = max(0, -(first // self.stride))
        high = max(low, min(self.out, (self.size - 1 - first) // self.stride + 1))
        start = low * self.stride + first
        return slice(low, high), slice(
            start, start + max(0, (high - low - 1) * self.stride + 1) * (high > low), self.stride
        )


def grouped(images: np.ndarray, group: int, channels_last: bool) -> np.ndarray:
    """Images as matrices [N, group, channels of a group, positions]; a view."""
    if channels_last:
        dims = (images.shape[0], prod(images.shape[1:-1]), group, images.shape[-1] // group)
        return images.reshape(dims).transpose(0, 2, 3, 1)
    return images.reshape(images.shape[0], group, images.shape[1] // group, prod(images.shape[2:]))


def stacked(filter: np.ndarray, group: int) -> np.ndarray:
    """The filters of each group as rows of a matrix [group, M / group, K]; a view."""
    return filter.reshape(group, filter.shape[0] // group, prod(filter.shape[1:]))


class Image(Settled):
    """Base of operators on images [N, C, spatial...] (order NCHW) or [N, spatial..., C] (NHWC)."""

    order: str = Arg(
        "NCHW", choices=("NCHW", "NHWC"), doc="where the channels stand: NCHW (axis 1) or NHWC (last axis)"
    )

    @property
    def channels_last(self) -> bool:
        return self.order == "NHWC"

    def split(self, name: str, shape: Sequence[Any]) -> tuple[Any, Any, tuple[Any, ...]]:
        """Batch, channels, spatial dims. Raises ValueError for less than two axes and for empty ones but the batch."""
        if len(shape) < 2:
            raise ValueError(f"{name}: has {len(shape)} axes, wants a batch and channels at least")
        if any(not isinstance(d, Unknown) and d == 0 for d in shape[1:]):
            raise ValueError(f"{name}: shape is {list(shape)}, only the batch (axis 0) may be empty")
        if self.channels_last:
            return shape[0], shape[-1], tuple(shape[1:-1])
        return shape[0], shape[1], tuple(shape[2:])

    def planes(self, images: np.ndarray) -> np.ndarray:
        """Images as [N, C, positions] or [N, positions, C]; a view."""
        batch, channels, spatial = self.split("X", images.shape)
        return images.reshape(self.joined(batch, channels, (prod(spatial),)))

    def joined(self, batch: Any, channels: Any, spatial: Sequence[Any]) -> tuple[Any, ...]:
        """The shape with these parts."""
        return (batch, *spatial, channels) if self.channels_last else (batch, channels, *spatial)


class WindowArgs(Image):
    """Base of operators that slide a window over an image."""

    kernel: int = Arg(0, ge=0, doc="window size along every spatial axis")
    kernel_h: int = Arg(0, ge=0, doc="window height (with kernel_w)")
    kernel_w: int = Arg(0, ge=0, doc="window width (with kernel_h)")
    kernels: list[int] = Arg((), ge=0, doc="window size along each spatial axis")
    stride: int = Arg(1, ge=1, doc="step along every spatial axis")
    stride_h: int = Arg(1, ge=1, doc="vertical step (with stride_w)")
    stride_w: int = Arg(1, ge=1, doc="horizontal step (with stride_h)")
    strides: list[int] = Arg((), ge=1, doc="step along each spatial axis")
    pad: int = Arg(0, doc="padding on both sides of every spatial axis")
    pad_t: int = Arg(0, doc="padding above (all four of pad_t, pad_l, pad_b, pad_r)")
    pad_l: int = Arg(0, doc="padding on the left")
    pad_b: int = Arg(0, doc="padding below")
    pad_r: int = Arg(0, doc="padding on the right")
    pads: list[int] = Arg((), doc="padding at the head of each spatial axis, then at the tail of each")
    legacy_pad: int = Arg(
        NOTSET, choices=(0, 1, 2, 3), doc="0 as given, 1 VALID, 2 SAME, 3 as Caffe's pooling (sizes rounded up)"
    )

    def spelled(self, plural: str, rank: int, default: int) -> list[int]:
        """The numbers of an argument that has several spellings, one an axis (pads: two).

        Raises ValueError for spellings that disagree, a spelling half given, or another count of numbers than the axes
        want.
        """
        one, each = SPELLINGS[plural]
        count = 2 * rank if plural == "pads" else rank
        found: dict[str, list[int]] = {}
        if getattr(self, plural):
            found[plural] = getattr(self, plural)
        if self.has_arg(one):
            found[one] = [getattr(self, one)] * count
        given = [name for name in each if self.has_arg(name)]
        if given and len(given) < len(each):
            raise ValueError(f"{given[0]} is given without {', '.join(name for name in each if name not in given)}")
        if given:
            found[", ".join(each)] = [getattr(self, name) for name in each]
        for name, numbers in found.items():
            if len(numbers) != count:
                raise ValueError(f"{name} = {numbers}: {len(numbers)} numbers for {rank} spatial axes, wants {count}")
        names = list(found)
        if any(found[name] != found[names[0]] for name in names):
            both = " and ".join(f"{name} = {found[name]}" for name in names)
            raise ValueError(f"{both} disagree, wants one of them")
        return found[names[0]] if names else [default] * count

    def explicit_pads(self, rank: int) -> list[int]:
        """The padding as given; legacy_pad VALID and SAME allow none."""
        if self.legacy_pad in (VALID, SAME):
            given = [name for name in ("pads", "pad", *SPELLINGS["pads"][1]) if self.has_arg(name)]
            if given:
                raise ValueError(f"{given[0]} is given, legacy_pad = {self.legacy_pad} computes the padding itself")
        return self.spelled("pads", rank, 0)


class ConvPoolArgs(WindowArgs):
    """Base of convolution and pooling: the output has one position for each place of the window."""

    dilation: int = Arg(1, ge=1, doc="distance between taps along every spatial axis")
    dilation_h: int = Arg(1, ge=1, doc="vertical distance between taps (with dilation_w)")
    dilation_w: int = Arg(1, ge=1, doc="horizontal distance between taps (with dilation_h)")
    dilations: list[int] = Arg((), ge=1, doc="distance between taps along each spatial axis")
    global_pooling: bool = Arg(False, doc="the window is the whole image; then no stride, padding or dilation")

    _windows: tuple[tuple[int, ...], tuple[Window, ...]] = ((-1,), ())

    def windows(self, spatial: tuple[int, ...]) -> tuple[Window, ...]:
        """The windows over an image of this size."""
        if self._windows[0] != spatial:
            self._windows = spatial, tuple(self._window(axis, spatial) for axis in range(len(spatial)))
        return self._windows[1]

    def out_dims(self, spatial: tuple[Any, ...]) -> tuple[Any, ...]:
        """The spatial dims of the output; unknown dims stay unknown."""
        if self.global_pooling:
            return (1,) * len(spatial)
        return tuple(UNKNOWN if isinstance(d, Unknown) else self._window(i, spatial).out for i, d in enumerate(spatial))

    def _window(self, axis: int, spatial: tuple[Any, ...]) -> Window:
        size, rank = spatial[axis], len(spatial)
        stride, dilation = (self.spelled(name, rank, 1)[axis] for name in ("strides", "dilations"))
        pads = self.explicit_pads(rank)
        head, tail = pads[axis], pads[axis + rank]
        if self.global_pooling:
            if (stride, dilation, head, tail) != (1, 1, 0, 0):
                raise ValueError("global_pooling allows no stride, dilation or padding")
            return Window(size, size, 1, 1, 0, 0, 1)
        kernel = self.spelled("kernels", rank, 0)[axis]
        if kernel < 1:
            raise ValueError("kernel, kernel_h and kernel_w, or kernels is missing (or 0)")
        return _placed(Window(size, kernel, stride, dilation, head, tail, 0), self.legacy_pad, axis)


def _placed(w: Window, legacy_pad: int, axis: int) -> Window:
    """The window with its padding and number of positions as legacy_pad says."""
    if legacy_pad == VALID:
        w = w._replace(head=0, tail=0)
    elif legacy_pad == SAME:
        if w.dilation != 1:
            raise ValueError(f"dilation = {w.dilation} with legacy_pad SAME, wants 1")
        needed = (-(-w.size // w.stride) - 1) * w.stride + w.kernel - w.size
        head = int(needed / 2)  # the odd one goes to the tail; a stride beyond the kernel crops
        w = w._replace(head=head, tail=needed - head)
    elif legacy_pad == CAFFE_LEGACY_POOLING:
        return _caffe_pooling(w, axis)
    if min(w.head, w.tail) < -w.size:
        raise ValueError(
            f"padding {w.head} and {w.tail} takes away more than the {w.size} elements of spatial axis {axis}"
        )
    reach = w.size + w.head + w.tail
    if reach < w.extent:
        raise ValueError(
            f"the window spans {w.extent} elements, spatial axis {axis} has {w.size} and padding {w.head} and {w.tail}"
        )
    return w._replace(out=(reach - w.extent) // w.stride + 1)


def _caffe_pooling(w: Window, axis: int) -> Window:
    """Caffe rounded the number of positions up, but let no window begin in the padding behind the image."""
    if w.head < 0:
        raise ValueError(f"padding is {w.head} with legacy_pad CAFFE_LEGACY_POOLING, wants >= 0")
    if w.dilation != 1:  # Caffe2 counts places as if there were none, and reads beyond the image
        raise ValueError(f"dilation = {w.dilation} with legacy_pad CAFFE_LEGACY_POOLING, wants 1")
    room = w.size + 2 * w.head - w.kernel
    out = -(-room // w.stride) + 1
    if w.head > 0 and (out - 1) * w.stride >= w.size + w.head:
        out -= 1
    standard = int(room / w.stride + 1)
    if out < 1:
        raise ValueError(f"the window spans {w.kernel} elements, spatial axis {axis} has {w.size}: no position is left")
    return w._replace(tail=w.head + w.stride * (out - standard), out=out)
