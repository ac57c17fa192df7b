"""The folder of material that is not part of the product: real nets, facts about Caffe2. Absent on most machines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("CAFFE2OPS_SHARED", Path(__file__).parents[2].parent / "shared"))
REASON = f"{FOLDER} is not here (see CAFFE2OPS_SHARED)"


def model_files(name: str) -> tuple[list[Path], Path]:
    """The files of a net's init nets and of its predict net, which may have been modified to run in Caffe2."""
    folder, meta = FOLDER / "models" / name, read_json(f"models/{name}/meta.json")
    modified = folder / "predict_net.modified.pb"
    return [folder / file for file in meta["init"]], modified if modified.exists() else folder / meta["predict"]


def read_json(name: str, default: Any = None) -> Any:
    """A JSON file of the folder, `default` where it is not here: for parametrising tests."""
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else default
