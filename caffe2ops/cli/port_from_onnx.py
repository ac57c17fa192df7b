"""caffe2ops port model.onnx --to init.pb,predict.pb"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caffe2ops.cli.nets import console
from caffe2ops.cli.proof import show_proof, show_written
from caffe2ops.infer import TensorSpec, Unknown


def from_onnx(
    source: Path, to: Sequence[Path], shapes: Mapping[str, TensorSpec], feeds: Mapping[str, Any], *,
    outputs: Sequence[str] = (), constants: Mapping[str, Any] | None = None, tolerance: float | None = None,
    int8: bool = False,
) -> bool:  # fmt: skip
    """Writes an ONNX model's init net and predict net and proves them; whether the proof holds.

    `to`: two files, or a folder. `shapes`: dims of inputs; `constants`: values of inputs that become parameters;
    `int8`: a quantised model in Int8 operators.
    """
    from caffe2ops.port import from_onnx as port

    if len(to) > 2 or (len(to) == 1 and to[0].suffix in (".pb", ".pbtxt", ".json")):
        raise ValueError(f"--to names {len(to)} file{'s' * (len(to) > 1)}, wants init.pb,predict.pb or a folder")
    dims = {name: [None if isinstance(d, Unknown) else d for d in spec.shape] for name, spec in shapes.items()}
    with console.status(f"porting {source}"):
        imported = port.from_onnx(source, dims, constants, outputs=outputs, int8=int8)
        files = imported.save(*to)
    show_written(files, imported.notes, f"{len(imported.net.op)} operators, {len(imported.parameters)} parameters")
    with console.status("running both"):
        given = [feeds] if feeds else []
        proof = port.prove(
            imported, *given, path=str(source), **({} if tolerance is None else {"tolerance": tolerance})
        )
    return show_proof("nets against onnxruntime", proof)
