"""PadImage and its gradient on CUDA arrays. Images are seen as [outer, rows, columns, inner]."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise

_FLOATS = ("float32", "float64")
# rows[y] and columns[x] say which element stands there, -1 for none.
_PAD = Elementwise(
    "const long long c = i % inner, x = i / inner % width, y = i / inner / width % height; "
    "const long long o = i / inner / width / height, row = rows[y], column = columns[x]; "
    "Y = row < 0 || column < 0 ? T(value) : X[((o * old_height + row) * old_width + column) * inner + c];",
    outputs="Y", tables="X rows:int64 columns:int64", int_scalars="height width old_height old_width inner",
    scalars="value", dtypes=_FLOATS, name="pad_image",
)  # fmt: skip
# The places of element r are row_places[row_from[r]] to row_places[row_from[r + 1] - 1]; likewise for columns.
_FOLD = Elementwise(
    "const long long c = i % inner, x = i / inner % old_width, y = i / inner / old_width % old_height; "
    "const long long o = i / inner / old_width / old_height; T a = 0; "
    "for (long long r = row_from[y]; r < row_from[y + 1]; ++r) "
    "for (long long k = column_from[x]; k < column_from[x + 1]; ++k) "
    "a += dY[((o * height + row_places[r]) * width + column_places[k]) * inner + c]; dX = a;",
    outputs="dX", tables="dY row_from:int64 row_places:int64 column_from:int64 column_places:int64",
    int_scalars="height width old_height old_width inner", dtypes=_FLOATS, name="pad_image_back",
)  # fmt: skip


def _sizes(op: Any, padded: Any, image: Any) -> dict[str, int]:
    rows, columns = op.axes(image.shape)
    return {
        "height": padded.shape[rows], "width": padded.shape[columns], "old_height": image.shape[rows],
        "old_width": image.shape[columns], "inner": image.shape[-1] if op.channels_last else 1,
    }  # fmt: skip


def _sources(op: Any, image: Any) -> list[np.ndarray]:
    return [
        op.sources(image.shape[axis], head, tail)
        for axis, (head, tail) in zip(op.axes(image.shape), op.padding(image.shape))
    ]


def pad(op: Any, X: Any, Y: Any) -> Any:
    """Images with padding."""
    import cupy

    rows, columns = map(cupy.asarray, _sources(op, X))
    return _PAD(out=Y, X=X, rows=rows, columns=columns, value=op.value, **_sizes(op, Y, X))


def fold(op: Any, dY: Any, dX: Any) -> Any:
    """Everything that stands at the places of an element, added up."""
    import cupy

    named = {}
    for name, source, size in zip(("row", "column"), _sources(op, dX), (dX.shape[axis] for axis in op.axes(dX.shape))):
        places = np.argsort(source, kind="stable")
        named[f"{name}_places"] = cupy.asarray(places)
        named[f"{name}_from"] = cupy.asarray(np.searchsorted(source[places], np.arange(size + 1)))
    return _FOLD(out=dX, dY=dY, **named, **_sizes(op, dY, dX))
