"""What is known of Caffe2's operators: schemas.json beside the golden answers, and shared facts where they are here."""

from __future__ import annotations

import json
from typing import Any

from . import golden, shared

SCHEMAS: dict[str, Any] = json.loads((golden.FOLDER / "schemas.json").read_text())
OPERATORS: dict[str, Any] = shared.read_json("caffe2/operators.json", {})
GRADIENTS: dict[str, Any] = shared.read_json("caffe2/gradients.json", {"ok": {}})["ok"]

MOST = 8  # numbers of blobs that SCHEMAS tells of
_KINDS = {"ThrowInTheTowel": "FORBIDDEN", "NotImplementedYet": "NOT_YET", "NoGradient": "NO_GRADIENT"}


def limited_sides(op_type: str) -> list[int]:
    """The sides (0 inputs, 1 outputs) on which Caffe2's schema limits how many blobs there are at all."""
    known = SCHEMAS[op_type]
    return [
        side for side, name in enumerate(("inputs", "outputs")) if not (0 in known[name] and len(known[name]) > MOST)
    ]


def kind_of_gradient(op_type: str) -> str | None:
    """ "some", "unregistered" or the name of a NonGradient; None where it is not known."""
    facts = OPERATORS.get(op_type, {})
    if "gradient_maker" not in facts:
        return None
    for name, kind in _KINDS.items():
        if name in (facts["gradient_maker"] or ""):
            return kind
    return "some" if facts["gradient"] else "unregistered"
