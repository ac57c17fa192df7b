"""The nets of the collection, one inference each, against the real Caffe2's, one thread.

python -m tests.benchmarks.nets [PATTERN]

The collection lies where CAFFE2OPS_SHARED says, as for the tests.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from caffe2ops import NetDef, Workspace, load
from tests.kit import shared

HERE = Path(__file__).parent
OUTSIDE = ("reagent_dqn_predictor", "pinn_transixor_train_net", "s_mnist_train_net")  # no predict net on inputs


def net(folder: str) -> Callable[[], None]:
    """A net of the collection on its inputs."""
    warnings.simplefilter("ignore")  # of arguments that other tools put on operators
    inits, predict = shared.model_files(Path(folder).name)
    workspace = Workspace()
    for init in inits:
        workspace.run(_load(init))
    with np.load(Path(folder) / "input.npz") as archive:
        for name in archive.files:
            workspace.feed(name, archive[name])
    return workspace.create(_load(predict)).run


def _load(path: Path) -> NetDef:
    found = load(path)
    assert isinstance(found, NetDef)
    return found


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only nets whose name this expression finds")
    options = parser.parse_args()
    rows = {}
    for model in shared.read_json("models/index.json"):
        folder = shared.FOLDER / "models" / model["name"]
        meta = shared.read_json(f"models/{model['name']}/meta.json", {})
        if not model["caffe2_ran"] or "predict" not in meta or "kind" in meta:
            continue
        if model["name"] in OUTSIDE or not re.search(options.pattern, model["name"]):
            continue
        kwargs = {"folder": str(folder)}
        contenders = [
            Contender("Caffe2", HERE / "nets_reference.py", "net", kwargs, reference=True),
            Contender("caffe2ops", HERE / "nets.py", "net", kwargs),
        ]
        rows[model["name"]] = compare(contenders, rounds=3, seconds=0.5)
        print(model["name"], {name: result.minimum for name, result in rows[model["name"]].items()}, flush=True)
    print(table("Nets", rows, "Caffe2"))


if __name__ == "__main__":
    main()
