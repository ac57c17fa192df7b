"""JSON Schemas of the JSON form of nets, plans and the like, as they stand in schemas/.

python -m caffe2ops.formats.schemas        writes them anew in a checkout
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from caffe2ops import defs

PUBLISHED = (
    defs.NetDef,
    defs.OperatorDef,
    defs.PlanDef,
    defs.MetaNetDef,
    defs.TensorProto,
    defs.QTensorProto,
    defs.BlobProto,
    defs.TensorProtos,
)
FOLDER = Path(__file__).parents[2] / "schemas"


def json_schema(model: type[defs.Def]) -> dict[str, Any]:
    """The JSON Schema of one kind of definition, complete in itself."""
    everything = [(m, "validation") for m in (*PUBLISHED, defs.Argument)]
    _, schema = models_json_schema(everything)  # type: ignore[arg-type]
    all_defs = {name: _linked(definition) for name, definition in schema["$defs"].items()}
    reached, todo = {}, [model.__name__]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached[name] = all_defs[name]
            todo += sorted(_references(all_defs[name]))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": model.__name__,
        "$ref": f"#/$defs/{model.__name__}",
        "$defs": dict(sorted(reached.items())),
    }


def _linked(schema: Any) -> Any:
    """The schema with references in place of {"message": name} (see caffe2ops.values), descriptions on one line."""
    if isinstance(schema, list):
        return [_linked(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if list(schema) == ["message"]:
        return {"$ref": f"#/$defs/{schema['message']}"}
    linked = {key: _linked(value) for key, value in schema.items()}
    if isinstance(linked.get("description"), str):
        linked["description"] = " ".join(linked["description"].split())
    return linked


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*map(_references, schema.values()))


def files() -> dict[str, str]:
    """Name and text of every published file."""
    return {f"{model.__name__}.schema.json": json.dumps(json_schema(model), indent=1) + "\n" for model in PUBLISHED}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
