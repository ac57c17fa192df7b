"""Classifies the digit images of this folder with the shipped net and draws each with its answer.

python examples/digits/classify.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

import caffe2ops

HERE = Path(__file__).parent


def picture(image: np.ndarray) -> Text:
    """An 8 x 8 image in grey levels, a pixel two characters wide."""
    grey = (np.clip(image, 0, 1) * 255).astype(int)
    return Text("\n").join(Text.assemble(*(("  ", f"on rgb({v},{v},{v})") for v in row)) for row in grey)


def plain(image: np.ndarray) -> Text:
    """The same without colours, for a terminal or file that has none."""
    return Text("\n".join("".join(" .:-=+*#%@"[int(v * 9)] * 2 for v in row) for row in np.clip(image, 0, 1)))


def main() -> None:
    console = Console()
    predictor = caffe2ops.Predictor(caffe2ops.load(HERE / "init_net.pb"), caffe2ops.load(HERE / "predict_net.pb"))
    with np.load(HERE / "digits.npz") as digits:
        images, labels = digits["data"], digits["label"]
    probability = predictor.run({"data": images})["probability"]
    answers = probability.argmax(axis=1)
    draw = picture if console.is_terminal and console.color_system else plain
    panels = []
    for image, label, answer, row in zip(images, labels, answers, probability):
        verdict = "[green]right[/]" if answer == label else f"[red]is {label}[/]"
        panels.append(Panel(draw(image[0]), title=f"[bold]{answer}[/] {row[answer]:.1%}", subtitle=verdict, width=20))
    console.print(Columns(panels))
    right = int((answers == labels).sum())
    console.print(f"{right} of {len(labels)} right: net {predictor.definition.name!r} in {HERE.name}/predict_net.pb")


if __name__ == "__main__":
    main()
