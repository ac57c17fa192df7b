"""What the ports print: the files written, what to know of them, and the proof."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape

from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.infer import human


def show_written(files: Iterable[Path], notes: Iterable[str], more: str = "") -> None:
    """Files with their sizes, and notes."""
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False)
    sizes = ", ".join(f"{file.name} ({human(file.stat().st_size, 'B')})" for file in files)
    console.print(f"{sizes} written{f': {more}' if more else ''}", highlight=False, markup=False)


def show_proof(title: str, proof: Any) -> bool:
    """The table of a proof and its verdict; whether it holds."""
    table = nets.table(title, "output", "holds", "max abs#", "max rel#", "verdict")
    for row in proof.rows():
        table.add_row(*map(escape, row))
    console.print(table)
    for run in proof.runs:
        if run.first:
            console.print(run.first, highlight=False, markup=False)
    for note in proof.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False)
    console.print(proof.verdict, highlight=False, markup=False)
    return bool(proof.holds)
