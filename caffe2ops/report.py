"""A report on a net: one page of HTML with the picture, the operators, the parameters, and what is wrong.

The page needs no network and no script, and reads on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.draw import is_backward
from caffe2ops.infer import Inference, human

BINS = 24  # of the histogram of a parameter
STYLE = """
:root { color-scheme: light dark; --line: #d5dae3; --soft: #6b7585; --bar: #5b8def; --back: #e08a3c; --panel: #fff; }
@media (prefers-color-scheme: dark) { :root { --line: #3a414d; --soft: #9aa5b5; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 72rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; }
.picture { background: var(--panel); max-height: 80vh; overflow: auto; padding: .5rem; }
#whole:checked ~ .picture svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { position: sticky; top: 0; background: Canvas; white-space: nowrap; } tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; } .back { color: var(--back); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .5rem; }
.facts div { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem; overflow-wrap: anywhere; }
.facts b { display: block; font-weight: 600; }
.bar { display: inline-block; height: .6rem; background: var(--bar); border-radius: .15rem; }
li { overflow-wrap: anywhere; } .wrong { color: #d0342c; }
"""


@dataclass
class Report:
    """What goes into a page. `picture`: an SVG, or nothing; `timings`: rows of net.Timing, where the net has run;
    `facts`: (what, how much)."""

    title: str
    net: NetDef
    found: Inference
    facts: Sequence[tuple[str, str]] = ()
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    picture: str = ""
    timings: Sequence[tuple[int, str, str, float, float, float]] = ()
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def html(self) -> str:
        """The page."""
        parts = [f"<h1>{escape(self.title)}</h1>", *(f"<p class=soft>{escape(note)}</p>" for note in self.notes)]
        facts = "".join(f"<div><span class=soft>{escape(k)}</span><b>{escape(v)}</b></div>" for k, v in self.facts)
        parts += [f"<div class=facts>{facts}</div>", self._findings(), self._picture(), self._operators()]
        parts.append(self._parameters())
        return (
            "<!DOCTYPE html>\n<html lang=en><meta charset=utf-8>"
            '<meta name=viewport content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>\n<body>{''.join(filter(None, parts))}</html>\n"
        )

    def _findings(self) -> str:
        rows = [f"<li class=wrong>{escape(text)}" for text in self.errors]
        rows += [f"<li>{escape(text)}" for text in self.warnings]
        return f"<h2>What check says</h2><ul>{''.join(rows)}</ul>" if rows else ""

    def _picture(self) -> str:
        if not self.picture:
            return ""
        drawn = self.picture[self.picture.index("<svg") :]
        return (
            "<h2>Picture</h2><input type=checkbox id=whole checked> <label for=whole>fit the width</label>"
            f'<div class="wide picture">{drawn}</div>'
        )

    def _operators(self) -> str:
        times = {row[0]: row[3] for row in self.timings}
        most = max(times.values(), default=0.0) or 1.0
        heads = ["#", "operator", "inputs", "outputs", "flops", "bytes", *(["time"] if times else [])]
        rows = []
        for index, op in enumerate(self.net.op):
            inputs, outputs, cost = self.found.steps[index] if index < len(self.found.steps) else ((), (), None)
            moved = None if cost is None or cost.bytes_read is None else cost.bytes_read + (cost.bytes_written or 0)
            cells = [
                _number(index),
                f"<td{' class=back' if is_backward(op) else ''}>{escape(op.type)}",
                f"<td>{_blobs(op.input, inputs)}",
                f"<td>{_blobs(op.output, outputs)}",
                _number(_amount(cost.flops if cost else None)),
                _number(_amount(moved)),
            ]
            if times:
                spent = times.get(index, 0.0)
                cells.append(
                    f'<td class=n>{spent:.3g} ms<br><span class=bar style="width:{4 * spent / most:.2f}rem"></span>'
                )
            rows.append(f"<tr>{''.join(cells)}")
        return f"<h2>Operators</h2>{_table(heads, rows)}"

    def _parameters(self) -> str:
        heads = ["parameter", "shape", "min", "mean", "max", "deviation", "zeros", "distribution"]
        rows = [_parameter(name, value) for name, value in self.parameters.items()]
        return f"<h2>Parameters</h2>{_table(heads, rows)}" if rows else ""


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    return f"<div class=wide><table><tr>{''.join(f'<th>{h}' for h in heads)}{''.join(rows)}</table></div>"


def _number(value: Any) -> str:
    return f"<td class=n>{value}"


def _blobs(names: Sequence[str], specs: Sequence[Any]) -> str:
    told = [*map(str, specs), *[""] * (len(names) - len(specs))]
    return "<br>".join(f"{escape(name)} <span class=soft>{escape(spec)}</span>" for name, spec in zip(names, told))


def _amount(number: int | None) -> str:
    return "?" if number is None else human(number)


def _parameter(name: str, value: np.ndarray) -> str:
    cells = [f"<td>{escape(name)}", f"<td>{value.dtype} [{', '.join(map(str, value.shape))}]"]
    if value.dtype.kind not in "fiub" or not value.size:
        return f"<tr>{''.join(cells)}<td><td><td><td><td><td>"
    wide = value.astype(np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    if finite.size < wide.size:
        cells[0] += f" <span class=wrong>{wide.size - finite.size} not finite</span>"
    if finite.size:
        told = [finite.min(), finite.mean(), finite.max(), finite.std()]
        cells += [_number(f"{number:.4g}") for number in told]
        cells += [_number(f"{np.mean(wide == 0):.1%}"), f"<td>{_histogram(finite)}"]
    return f"<tr>{''.join(cells)}"


def _histogram(values: np.ndarray) -> str:
    """A small drawing of how the values are spread from the least to the greatest."""
    counts, _ = np.histogram(values, BINS)
    heights = np.ceil(20 * counts / max(counts.max(), 1)).astype(int)
    path = "".join(f"M{4 * i} 20v{-h}h3v{h}z" for i, h in enumerate(heights) if h)
    return f'<svg width={4 * BINS} height=20><path d="{path}" fill="var(--bar)"/></svg>'
