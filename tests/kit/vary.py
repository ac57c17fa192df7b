"""Other forms of a sample's inputs: strided, empty, and garbage in the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.workspace import Workspace

from .call import feeds_of
from .sample import Sample


def strided(value: Any) -> Any:
    """An equal array that is not C-contiguous, where there is one."""
    if not isinstance(value, np.ndarray) or value.size < 2:
        return value
    wide = np.empty((*value.shape, 2), value.dtype)
    wide[..., 0] = wide[..., 1] = value
    return wide[..., 0]


def zero_sized(sample: Sample) -> Iterator[tuple[str, dict[str, Any]]]:
    """(symbol, feeds) with one dim of the contract made 0 wherever it stands, for each such dim.

    Inputs that may have any shape have their first dim made 0, all those of one length at once.
    """
    feeds = feeds_of(sample)
    contract = registry.get(sample.op).parsed
    arrays = [(port, feeds.get(name)) for (port, name) in contract.pair(contract.inputs, sample.input_names)]
    axes: dict[str, list[tuple[int, int]]] = {}  # symbol -> (input, axis)
    for k, (port, value) in enumerate(arrays):
        if not isinstance(value, np.ndarray) or not value.ndim:
            continue
        dims = port.dims or ()
        if "..." in dims or port.dims is None:
            front = dims[: dims.index("...")] if dims else ()
            back = dims[len(front) + 1 :]
            named = [(d, i) for i, d in enumerate(front)] + [(d, i - len(back)) for i, d in enumerate(back)]
            free = value.ndim > len(front) + len(back)
            named += [(f"dim {value.shape[len(front)]}", len(front))] if free else []
        else:
            named = [(d, i) for i, d in enumerate(dims)]
        for symbol, axis in named:
            if not symbol.isdigit() and symbol != "?":
                axes.setdefault(symbol, []).append((k, axis))
    for symbol, places in axes.items():
        emptied = dict(feeds)
        for k, axis in places:
            name = sample.input_names[k]
            emptied[name] = np.take(emptied[name], [], axis=axis)
        yield symbol, emptied


def poison(workspace: Workspace, outputs: Mapping[str, Any]) -> None:
    """Writes garbage into the arrays that outputs hold, so that an operator which relies on them is found."""
    for name in outputs:
        blob = workspace.find(name)
        held = None if blob is None else blob.value
        if isinstance(held, np.ndarray) and held.dtype != object:
            held.reshape(-1).view(np.uint8)[...] = 1 if held.dtype == bool else 0x5B
