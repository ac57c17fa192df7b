"""load, loads, dump, dumps: one way in and out for every format."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from caffe2ops.defs import Def, TensorProtos
from caffe2ops.formats import binary, detect, pbtxt
from caffe2ops.formats.error import FormatError

Kind = TypeVar("Kind", bound=Def)
FORMATS = ("binary", "text", "json")
_SUFFIXES = {".pbtxt": "text", ".prototxt": "text", ".txt": "text", ".json": "json"}


@overload
def load(path: str | Path, model: type[Kind]) -> Kind: ...
@overload
def load(path: str | Path, model: None = None) -> Any: ...
def load(path: str | Path, model: type[Def] | None = None) -> Any:
    """Reads a file, whatever its name says: a serialized message, its text or JSON form, or a database.

    Gives a NetDef, PlanDef, MetaNetDef, TensorProtos, BlobProto...; a PredictorExport for a predictor file (minidb, or
    the folder of an lmdb), {name: value} for a database of other blobs, {key: TensorProtos} for one of training data.
    `model` says which kind of message is wanted. Raises FormatError, which names the file and the place in it; OSError.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _database(path, "lmdb")
        with open(path, "rb") as file:
            try:
                data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # a pipe; an empty file
                data = file.read()
            if detect.file_format(data) == "minidb":
                return _database(path, "minidb")
            return loads(data, model)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _database(path: Path, db_type: str) -> Any:
    from caffe2ops.formats.db import open_db
    from caffe2ops.formats.predictor import META_NET_DEF, PredictorExport, read_blobs

    with open_db(db_type, path) as db:
        first = db.cursor()
        if first.valid() and detect.message_kind(first.value()) is TensorProtos:
            records = db.cursor()
            return {key.decode(errors="surrogateescape"): binary.decode(value, TensorProtos) for key, value in records}
        blobs = read_blobs(db)
    return PredictorExport.of_blobs(blobs) if META_NET_DEF in blobs else blobs


@overload
def loads(data: bytes | str, model: type[Kind]) -> Kind: ...
@overload
def loads(data: bytes | str, model: None = None) -> Any: ...
def loads(data: Any, model: type[Def] | None = None) -> Any:
    """The definition that bytes (or text) hold: serialized, as text or as JSON. See load."""
    if isinstance(data, str):
        data = data.encode()
    form = detect.file_format(data)
    if form == "minidb":
        raise FormatError("a minidb database; read it with load, load_predictor, load_blobs or open_db")
    if form == "binary":
        return binary.decode(data, model or detect.message_kind(data))
    try:
        text = bytes(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"no UTF-8 text: {error.reason}", at=error.start) from None
    models = (model,) if model else detect.KINDS
    return pbtxt.parse(text, models) if form == "text" else _from_json(text, models)


def _from_json(text: str, models: tuple[type[Def], ...]) -> Any:
    problems = []
    for model in models:
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            unknown = sum(
                e["type"] == "extra_forbidden" and len(e["loc"]) == 1 for e in error.errors(include_url=False)
            )
            place = ".".join(map(str, first["loc"]))
            problems.append((unknown, f"as {model.__name__}: {place + ': ' if place else ''}{first['msg']}"))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise FormatError(f"as {model.__name__}: {error or type(error).__name__}") from None
    raise FormatError(min(problems, key=lambda problem: problem[0])[1])


def dumps(definition: Def, form: str = "binary") -> bytes:
    """A definition as bytes: "binary" (serialized), "text" (.pbtxt) or "json".

    Raises FormatError for values the format cannot hold.
    """
    if not isinstance(definition, Def):
        raise TypeError(f"wants a definition such as a NetDef, got {type(definition).__name__}")
    if form == "binary":
        return binary.encode(definition)
    if form == "text":
        return pbtxt.write(definition).encode()
    if form == "json":
        return definition.model_dump_json(exclude_unset=True, indent=1).encode() + b"\n"
    raise ValueError(f"form {form!r}, wants one of {', '.join(FORMATS)}")


def dump(definition: Any, path: str | Path, form: str | None = None) -> None:
    """Writes a definition to a file; without `form`, the name says it: .pbtxt, .prototxt, .txt text, .json JSON,
    anything else binary.

    A PredictorExport is written as a minidb.
    """
    from caffe2ops.formats.predictor import PredictorExport, save_predictor

    if isinstance(definition, PredictorExport):
        save_predictor(path, definition)
        return
    Path(path).write_bytes(dumps(definition, form or _SUFFIXES.get(Path(path).suffix, "binary")))
