"""Files of Caffe2 <-> the models of caffe2ops.defs: binary .pb, .pbtxt, JSON, tensors, minidb and lmdb databases,
predictor exports.

`load` and `dump` are for files, `loads` and `dumps` for bytes. What a file is, is told from its content. The protobuf
runtime is imported with the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from caffe2ops.formats.error import FormatError

if TYPE_CHECKING:
    from caffe2ops.formats.binary import decode, encode
    from caffe2ops.formats.db import DB, Cursor, Transaction, open_db
    from caffe2ops.formats.files import dump, dumps, load, loads
    from caffe2ops.formats.predictor import (
        PredictorExport,
        export_predictor,
        load_blobs,
        load_predictor,
        save_blobs,
        save_predictor,
    )
    from caffe2ops.formats.schemas import json_schema
    from caffe2ops.formats.tensors import (
        array_to_tensor,
        blob_to_value,
        qtensor_to_value,
        tensor_to_array,
        tensors_to_array,
        value_to_blobs,
        value_to_qtensor,
    )

_HOMES = {
    "binary": "decode encode",
    "files": "load loads dump dumps",
    "tensors": "tensor_to_array tensors_to_array array_to_tensor qtensor_to_value value_to_qtensor blob_to_value "
    "value_to_blobs",
    "db": "open_db DB Cursor Transaction",
    "predictor": "PredictorExport export_predictor load_predictor save_predictor load_blobs save_blobs",
    "schemas": "json_schema",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DB",
    "Cursor",
    "FormatError",
    "PredictorExport",
    "Transaction",
    "array_to_tensor",
    "blob_to_value",
    "decode",
    "dump",
    "dumps",
    "encode",
    "export_predictor",
    "json_schema",
    "load",
    "load_blobs",
    "load_predictor",
    "loads",
    "open_db",
    "qtensor_to_value",
    "save_blobs",
    "save_predictor",
    "tensor_to_array",
    "tensors_to_array",
    "value_to_blobs",
    "value_to_qtensor",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
