"""The versions of a net's blobs, operator by operator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def get_ssa(net: Any, blob_versions: dict[str, int] | None = None) -> tuple[list[Any], dict[str, int]]:
    """The versioned blobs of each operator, ([(input, version), ...], [(output, version), ...]), and the last version
    of each blob. Blobs that come from outside have version 0."""
    proto = net.Proto() if hasattr(net, "Proto") else net
    versions = {} if blob_versions is None else blob_versions
    for name in proto.external_input:
        versions.setdefault(name, 0)
    ssa = []
    for op in proto.op:
        if not proto.external_input:
            for name in op.input:
                versions.setdefault(name, 0)
        inputs = [(name, versions.get(name, 0)) for name in op.input]
        for name in op.output:
            versions[name] = versions.get(name, 0) + 1
        ssa.append((inputs, [(name, versions[name]) for name in op.output]))
    return ssa, versions


def get_undefined_blobs(ssa: Iterable[Any]) -> set[str]:
    """The blobs that are read at version 0."""
    return {name for inputs, _ in ssa for name, version in inputs if version == 0}


def ends(ops: Iterable[Any]) -> tuple[list[str], list[str]]:
    """The blobs that operators read before any of them writes them, and those that they write and never read."""
    written: dict[str, None] = {}
    read: dict[str, None] = {}
    used: set[str] = set()
    for op in ops:
        read.update(dict.fromkeys(name for name in op.input if name not in written))
        written.update(dict.fromkeys(op.output))
        used.update(op.input)
    return list(read), [name for name in written if name not in used]
