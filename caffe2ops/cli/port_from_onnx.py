"""caffe2ops port model.onnx --to init.pb,predict.pb"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console, human


def from_onnx(
    source: Path, to: Sequence[Path], shapes: Mapping[str, Any], feeds: Mapping[str, Any], *, outputs: Sequence[str] = (),
    constants: Mapping[str, Any] | None = None, tolerance: float | None = None,
) -> bool:  # fmt: skip
    """Writes an ONNX model's init net and predict net and proves them; whether the proof holds.

    `to`: two files, or a folder. `shapes`: TensorSpecs of inputs by name, `constants`: inputs that become parameters.
    """
    from caffe2ops.port import from_onnx as port

    if len(to) > 2:
        raise ValueError(f"--to names {len(to)} files, wants init.pb,predict.pb or a folder")
    dims = {name: getattr(spec, "shape", spec) for name, spec in shapes.items()}
    dims |= {name: value.shape for name, value in feeds.items() if name not in (constants or {}) and name not in dims}
    with console.status(f"porting {source}"):
        imported = port.from_onnx(source, dims, constants, outputs=outputs)
        files = imported.save(*to)
    sizes = ", ".join(f"{file.name} ({human(file.stat().st_size, 'B')})" for file in files)
    console.print(f"{sizes} written: {len(imported.net.op)} operators, {len(imported.parameters)} parameters", highlight=False)
    with console.status("running both"):
        given = [feeds] if feeds else []
        proof = port.prove(imported, *given, path=str(source), **({} if tolerance is None else {"tolerance": tolerance}))
    table = nets.table("nets against onnxruntime", "output", "holds", "max abs#", "max rel#", "verdict")
    for row in proof.rows():
        table.add_row(*row)
    console.print(table)
    console.print(proof.verdict, highlight=False, markup=False)
    return proof.holds
