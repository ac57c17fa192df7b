"""What the commands share: finding nets on disk, reading feeds, and tables."""

from __future__ import annotations

import os
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caffe2ops import formats
from caffe2ops.dataflow import last_written, read_by
from caffe2ops.defs import DeviceOption, DeviceType, NetDef
from caffe2ops.errors import did_you_mean
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.predictor import global_init
from caffe2ops.workspace import Workspace

LMDB = "data.mdb"  # the file that makes a folder a database of that kind
SHAPE = "NAME=1,3,224,224[:dtype]"
# Into a file or a pipe lines are as long as they are: they are for other programs.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000)


@dataclass
class Model:
    """A net to run, the nets that make its parameters, and parameters that come as arrays."""

    net: NetDef
    init: list[NetDef] = field(default_factory=list)
    blobs: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def prepare(self, device: DeviceOption | None = None, root: Path | None = None) -> Workspace:
        """A workspace with the parameters in it."""
        workspace = Workspace(root=root)
        for name, value in self.blobs.items():
            workspace.feed(name, value, device)
        for net in self.init:
            workspace.run(net, device=device)
        return workspace

    def expected(self, workspace: Workspace) -> list[str]:
        """The blobs that must be fed: read before they are written, and not among the parameters."""
        return [name for name in read_by(self.net) if not workspace.has(name)]

    def fetched(self) -> list[str]:
        """The outputs: those declared, else what is written and never read."""
        return list(self.outputs or self.net.external_output or last_written(self.net))


def open_model(path: Path, init: list[Path]) -> Model:
    """The model of a predict net, a predictor export, or a folder with an init/predict pair."""
    if path.is_dir() and not (path / LMDB).exists():
        predict, found = _pair(path)
        return open_model(predict, [*init, *([] if init else found)])
    return model_of(formats.load(path), path, init)


def model_of(loaded: Any, path: Path, init: list[Path]) -> Model:
    """The model of what a file holds. Raises ValueError where that is neither a net nor a predictor export."""
    inits = [load_net(p) for p in init]
    if isinstance(loaded, formats.PredictorExport):
        return Model(loaded.net(), [global_init(loaded), *inits], dict(loaded.blobs), loaded.inputs, loaded.outputs)
    if not isinstance(loaded, NetDef):
        raise ValueError(f"{path}: holds {_kind(loaded)}, wants a net or a predictor export")
    return Model(loaded, inits)


def load_net(path: Path) -> NetDef:
    """The net in a file. Raises ValueError where the file holds something else."""
    loaded = formats.load(path)
    if not isinstance(loaded, NetDef):
        raise ValueError(f"{path}: holds {_kind(loaded)}, wants a net")
    return loaded


def _kind(loaded: Any) -> str:
    return f"a database of {len(loaded)} records" if isinstance(loaded, dict) else f"a {type(loaded).__name__}"


def _pair(folder: Path) -> tuple[Path, list[Path]]:
    """The predict net and the init nets of a folder, told by their names."""
    files = sorted(
        p for p in folder.iterdir() if p.is_file() and p.suffix not in (".npz", ".npy", ".json", ".md", ".py")
    )
    init = [p for p in files if "init" in p.name.lower()]
    predict = [p for p in files if p not in init and ("predict" in p.name.lower() or "deploy" in p.name.lower())]
    if not predict:
        predict = [p for p in files if p not in init]
    if len(predict) != 1 or len(init) > 1:
        names = ", ".join(p.name for p in files) or "nothing"
        raise ValueError(
            f"{folder}: wants one predict net and one init net by their names, holds {names}; name the files themselves"
        )
    return predict[0], init


def read_feeds(files: list[Path], pairs: list[str]) -> dict[str, Any]:
    """Feeds of .npz files (by the names in them) and NAME=VALUE pairs: a .npy file, a number, numbers with commas."""
    feeds: dict[str, Any] = {}
    for file in files:
        feeds.update(_archive(file))
    for pair in pairs:
        name, sign, value = pair.rpartition("=")
        if not sign:
            raise ValueError(f"--feed {pair}: wants NAME=FILE.npy or NAME=VALUE")
        feeds[name] = _value(value)
    return feeds


def _archive(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz. Raises ValueError where it is none, or broken, or holds Python objects."""
    try:
        with open(file, "rb") as opened:
            archive = np.load(opened, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("this is a .npy of one array, for NAME=FILE.npy")
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{file}: wants a .npz of arrays: {error}") from error


def _value(text: str) -> Any:
    if text.endswith(".npy"):
        return np.load(text, allow_pickle=False)
    try:
        return np.asarray([int(part) for part in text.split(",")], np.int64)
    except ValueError:
        pass
    try:
        return np.asarray([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        return text


def device_option(text: str) -> DeviceOption | None:
    """`cpu`, `cuda` or `cuda:N`; None for an empty text: as the net says."""
    if not text:
        return None
    kind, _, number = text.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ValueError(f"--device {text}: wants cpu, cuda or cuda:N")
    return DeviceOption(device_type=DeviceType.CUDA if kind == "cuda" else DeviceType.CPU, device_id=int(number or 0))


def shapes_of(pairs: list[str], model: Model) -> dict[str, TensorSpec]:
    """NAME=1,3,224,224 pairs, :int32 behind for another dtype than float32; `?` or a name for a dim that varies.

    Raises ValueError for a blob that is no input of the model.
    """
    known = {*read_by(model.net), *model.net.external_input, *model.inputs}
    shapes: dict[str, TensorSpec] = {}
    for name, spec in specs_of(pairs, f"{SHAPE} (? for a dim that varies)").items():
        if name not in known:
            raise ValueError(f"--shape {name}: {name!r} is no input of the net{did_you_mean(name, known)}")
        shapes[name] = TensorSpec([d if isinstance(d, int) else UNKNOWN for d in spec.shape], spec.dtype)
    return shapes


def specs_of(pairs: list[str], wants: str) -> dict[str, TensorSpec]:
    """NAME=N,3,224,224 pairs, :int32 behind for another dtype than float32; a name or None (?) where a dim varies."""
    specs: dict[str, TensorSpec] = {}
    for pair in pairs:
        name, sign, rest = pair.rpartition("=")
        dims, _, dtype = rest.partition(":")
        try:
            specs[name] = TensorSpec([_dim(d.strip()) for d in dims.split(",") if d.strip()], dtype or "float32")
        except (TypeError, ValueError):
            sign = ""
        if not sign:
            raise ValueError(f"--shape {pair}: wants {wants}")
    return specs


def _dim(text: str) -> Any:
    if text == "?" or text.isidentifier():
        return None if text == "?" else text
    if not text.isdigit():
        raise ValueError(text)
    return int(text)


def random_inputs(shapes: dict[str, TensorSpec]) -> dict[str, np.ndarray]:
    """Normal random numbers for those that hold floats and whose dims are all known."""
    rng = np.random.default_rng(0)
    wanted = {name: spec for name, spec in shapes.items() if spec.known and spec.dtype and spec.dtype.kind == "f"}
    return {name: rng.standard_normal(spec.shape).astype(spec.dtype) for name, spec in wanted.items()}


def say(kind: str, text: str) -> None:
    """A line or block that starts with its kind, error or warning."""
    colour = {"error": "red", "warning": "yellow"}[kind]
    console.print(f"[{colour}]{kind}:[/] {escape(text)}", highlight=False, soft_wrap=True)


def table(title: str, *columns: str) -> Table:
    """A table whose columns ending in # hold numbers; text in it that is not ours wants rich.markup.escape."""
    made = Table(
        title=escape(title), min_width=len(title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD
    )
    for column in columns:
        made.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    return made
