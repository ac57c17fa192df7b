"""Predictor exports: a database with the nets of a model under !!META_NET_DEF, and its parameters as blobs.

Caffe2: python/predictor/predictor_exporter; the blobs are those of its Save operator, keys `name` or `name#%chunk`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe2ops.defs import BlobProto, BlobsMap, MetaNetDef, NetDef, NetsMap, OperatorDef, PlanDef
from caffe2ops.formats import binary
from caffe2ops.formats.db import DB, open_db
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.tensors import CHUNK, TENSOR, blob_to_value, value_to_blobs

META_NET_DEF, DBREADER = "!!META_NET_DEF", "!!PREDICTOR_DBREADER"
PARAMETERS, INPUTS, OUTPUTS = "PARAMETERS_BLOB_TYPE", "INPUTS_BLOB_TYPE", "OUTPUTS_BLOB_TYPE"
GLOBAL_INIT_NET, PREDICT_INIT_NET, PREDICT_NET = "GLOBAL_INIT_NET_TYPE", "PREDICT_INIT_NET_TYPE", "PREDICT_NET_TYPE"


@dataclass(frozen=True)
class PredictorExport:
    """What a predictor file holds: `meta`, the nets and lists of blobs by role, and `blobs`, the values of the
    parameters by name.

    A file may hold several models; the role of a named one is e.g. "PREDICT_NET_TYPE_name".
    """

    meta: MetaNetDef
    blobs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_blobs(cls, blobs: Mapping[str, Any]) -> PredictorExport:
        """The export whose blobs these are, the definition among them. Raises FormatError where that is missing."""
        meta = blobs.get(META_NET_DEF)
        if not isinstance(meta, bytes):
            raise FormatError(f"no {META_NET_DEF} among the blobs: no predictor export")
        rest = {name: value for name, value in blobs.items() if name != META_NET_DEF}
        return cls(binary.decode(meta, MetaNetDef), rest)

    def net(self, role: str = PREDICT_NET) -> NetDef:
        """The net of a role. Raises KeyError naming the roles there are."""
        return self._find("net", {entry.key: entry.value for entry in reversed(self.meta.nets)}, role)  # type: ignore[no-any-return]

    def plan(self, role: str) -> PlanDef:
        return self._find("plan", {entry.key: entry.value for entry in reversed(self.meta.plans)}, role)  # type: ignore[no-any-return]

    def blob_names(self, role: str) -> tuple[str, ...]:
        """The blobs of a role, none where the file does not list it."""
        return next((entry.value for entry in self.meta.blobs if entry.key == role), ())

    @property
    def parameters(self) -> tuple[str, ...]:
        return self.blob_names(PARAMETERS)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.blob_names(INPUTS)

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.blob_names(OUTPUTS)

    def _find(self, what: str, entries: Mapping[str, Any], role: str) -> Any:
        if role not in entries:
            raise KeyError(f"no {what} {role!r} in the predictor; it has {', '.join(entries) or 'none'}")
        return entries[role]


def export_predictor(
    net: NetDef,
    parameters: Mapping[str, Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> PredictorExport:
    """A predictor export of one net, as Caffe2's exporter lays it out.

    `parameters` are the values to save. The init net fills inputs and outputs with zeros of the given `shapes` ((1,)
    where none is given). Raises ValueError where a parameter is also an input or output.
    """
    both = [name for name in (*inputs, *outputs) if name in parameters]
    if both:
        raise ValueError(f"{', '.join(both)}: wants parameters apart from inputs and outputs")
    zeros = tuple(
        OperatorDef(
            type="ConstantFill", output=(name,), args={"shape": tuple((shapes or {}).get(name, (1,))), "value": 0.0}
        )
        for name in (*inputs, *outputs)
    )
    nets = {
        PREDICT_INIT_NET: NetDef(name="predict-init", op=zeros, external_input=(*inputs, *outputs)),
        GLOBAL_INIT_NET: NetDef(
            name="global-init",
            op=(OperatorDef(type="Load", input=(DBREADER,), output=tuple(parameters)),),
            external_input=(DBREADER,),
            external_output=tuple(parameters),
        ),
        PREDICT_NET: net.replace(
            name=net.name or "predict", external_input=(*inputs, *parameters), external_output=tuple(outputs)
        ),
    }
    blobs = {PARAMETERS: tuple(parameters), INPUTS: tuple(inputs), OUTPUTS: tuple(outputs)}
    meta = MetaNetDef(
        blobs=tuple(BlobsMap(key=role, value=names) for role, names in blobs.items()),
        nets=tuple(NetsMap(key=role, value=definition) for role, definition in nets.items()),
    )
    return PredictorExport(meta, dict(parameters))


def load_predictor(path: str | Path, db_type: str = "minidb") -> PredictorExport:
    """Reads a predictor file. Raises FormatError, OSError."""
    try:
        return PredictorExport.of_blobs(load_blobs(path, db_type))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def save_predictor(path: str | Path, export: PredictorExport, db_type: str = "minidb") -> None:
    """Writes a predictor file, which Caffe2's load_from_db and caffe2ops read."""
    with open_db(db_type, path, "new") as db:
        write_blobs(db, {META_NET_DEF: binary.encode(export.meta), **export.blobs})


def load_blobs(path: str | Path, db_type: str = "minidb") -> dict[str, Any]:
    """The blobs that a Save operator wrote, by name: arrays, QTensors, bytes, or BlobProtos of other types.

    Raises FormatError, OSError.
    """
    with open_db(db_type, path) as db:
        return read_blobs(db)


def save_blobs(path: str | Path, blobs: Mapping[str, Any], db_type: str = "minidb") -> None:
    """Writes blobs as Caffe2's Save operator does, for its Load operator to read."""
    with open_db(db_type, path, "new") as db:
        write_blobs(db, blobs)


def read_blobs(db: DB) -> dict[str, Any]:
    """All blobs of an open database, by key without the chunk number."""
    chunks: dict[str, list[BlobProto]] = {}
    for key, value in db.cursor():
        try:
            text = key.decode()
            chunks.setdefault(text.rpartition("#%")[0] or text, []).append(binary.decode(value, BlobProto))
        except (FormatError, UnicodeDecodeError) as error:
            raise FormatError(f"record {key[:80]!r} is no blob: {error}") from None
    return {name: blob_to_value(*found) for name, found in chunks.items()}


def write_blobs(db: DB, blobs: Mapping[str, Any]) -> None:
    """Puts blobs into an open database, tensors in chunks."""
    with db.transaction() as transaction:
        for name, value in blobs.items():
            for index, blob in enumerate(value_to_blobs(name, value, CHUNK)):
                transaction.put(f"{name}#%{index}" if blob.type == TENSOR else name, binary.encode(blob))
