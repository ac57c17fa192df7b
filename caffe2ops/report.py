"""A report on a net: one page of HTML with the picture, the operators, the parameters, and what is wrong.

The page needs no network and no script, and reads on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from caffe2ops.dataflow import nets_within
from caffe2ops.defs import NetDef
from caffe2ops.draw import arguments, is_backward
from caffe2ops.infer import Cost, Inference, human
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import describe

BINS = 24  # of the histogram of a parameter
PIECE = 1 << 20  # elements of a parameter that are looked at together
STYLE = """
:root { color-scheme: light dark; --line: #d5dae3; --soft: #5f6875; --bar: #5b8def; --back: #a8560a; --wrong: #c62828; }
@media (prefers-color-scheme: dark) { :root { --line: #3a414d; --soft: #9aa5b5; --back: #f0a35e; --wrong: #ff8078; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 72rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h1, h2, p, li { overflow-wrap: anywhere; }
.soft { color: var(--soft); } .back { color: var(--back); } .wrong { color: var(--wrong); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; }
.picture { background: #fff; max-height: 80vh; overflow: auto; padding: .5rem; }
#whole:checked ~ .picture svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { white-space: nowrap; } .name { overflow-wrap: anywhere; min-width: 9rem; } tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .5rem; }
.facts div { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem; overflow-wrap: anywhere; }
.facts b { display: block; font-weight: 600; }
.bar { display: inline-block; height: .6rem; background: var(--bar); border-radius: .15rem; }
"""


@dataclass
class Report:
    """What goes into a page. `picture`: an SVG, or nothing; `timings`: rows of net.Timing, where the net has run;
    `facts`: (what, how much)."""

    title: str
    net: NetDef
    found: Inference
    facts: Sequence[tuple[str, str]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    picture: str = ""
    timings: Sequence[tuple[int, str, str, float, float, float]] = ()
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def html(self) -> str:
        """The page."""
        parts = [f"<h1>{escape(self.title)}</h1>", *(f"<p class=soft>{escape(note)}</p>" for note in self.notes)]
        facts = "".join(f"<div><span class=soft>{escape(k)}</span><b>{escape(v)}</b></div>" for k, v in self.facts)
        parts += [f"<div class=facts>{facts}</div>", self._findings(), self._picture(), self._kinds()]
        parts.append(self._operators("Operators"))
        for where, inner in nets_within(self.net):
            parts.append(Report(inner.name, inner, Inference())._operators(f"Operators of {inner.name}: {where}"))
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
            "<h2>Picture</h2><p class=soft>Green: what comes in and goes out. Orange: the backward pass.</p>"
            "<input type=checkbox id=whole checked> <label for=whole>fit the width</label>"
            f'<div class="wide picture" tabindex=0 role=region aria-label=Picture>{drawn}</div>'
        )

    def _kinds(self) -> str:
        """The types of operators, those that take most first."""
        times = {row[0]: row[3] for row in self.timings}
        totals: dict[str, np.ndarray] = {}
        for index, (op, (_, _, cost)) in enumerate(zip(self.net.op, self.found.steps)):
            amounts = (times.get(index, 0.0), cost.flops or 0, _moved(cost) or 0, 1)
            totals[op.type] = totals.get(op.type, np.zeros(4)) + amounts
        whole, most = sum(times.values()) or 1.0, max((total[0] for total in totals.values()), default=0.0)
        rows = []
        for kind, (spent, flops, moved, n) in sorted(totals.items(), key=lambda item: tuple(-item[1])):
            told = [_time(spent, most), _number(f"{spent / whole:.1%}")] if times else []
            told += map(_number, (human(flops) if moved else "?", human(moved, "B") if moved else "?", int(n)))
            rows.append(f"<tr>{''.join((_name(escape(kind)), *told))}")
        heads = ["operator", *["time#", "share#"] * bool(times), "flops#", "bytes#", "operators#"]
        return _section("Types of operators", heads, rows)

    def _operators(self, title: str) -> str:
        times = {row[0]: row[3] for row in self.timings}
        most = max(times.values(), default=0.0)
        heads = ["", "operator", "inputs", "outputs", *["time#"] * bool(times), "flops#", "bytes#"]
        unknown = ((), (), Cost(None, None, None))
        rows = []
        for index, op in enumerate(self.net.op):
            inputs, outputs, cost = self.found.steps[index] if index < len(self.found.steps) else unknown
            kind = escape(f"{op.type} ({op.engine})" if op.engine else op.type)
            kind = f"<span class=back>{kind}</span>" if is_backward(op) else kind
            cells = [
                _number(index),
                _name(f"{kind}<br><span class=soft>{escape(arguments(op))}</span>"),
                _name(_blobs(op.input, inputs)),
                _name(_blobs(op.output, outputs)),
                *([_time(times.get(index, 0.0), most)] if times else []),
                _number(_amount(None if _moved(cost) is None else cost.flops)),
                _number(_amount(_moved(cost), "B")),
            ]
            rows.append(f"<tr>{''.join(cells)}")
        return _section(title, heads, rows)

    def _parameters(self) -> str:
        heads = ["parameter", "holds", "elements#", "min#", "mean#", "max#", "deviation#", "zeros#", "distribution"]
        rows = [_parameter(name, value) for name, value in self.parameters.items()]
        return _section("Parameters", heads, rows)


def _section(title: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th scope=col{' class=n' * h.endswith('#')}>{h.rstrip('#')}" for h in heads)
    return (
        f'<h2>{escape(title)}</h2><div class=wide tabindex=0 role=region aria-label="{escape(title)}">'
        f"<table><thead><tr>{head}<tbody>{''.join(rows)}</table></div>"
    )


def _number(value: Any) -> str:
    return f"<td class=n>{value}"


def _name(text: str) -> str:
    return f"<td class=name>{text}"


def milliseconds(spent: float) -> str:
    return f"{spent:.0f} ms" if spent >= 100 else f"{spent:.3g} ms"


def _time(spent: float, most: float) -> str:
    width = 4 * spent / most if most else 0.0
    return f'<td class=n><span class=bar style="width:{width:.2f}rem"></span> {milliseconds(spent)}'


def _blobs(names: Sequence[str], specs: Sequence[Any]) -> str:
    told = [*map(str, specs), *[""] * (len(names) - len(specs))]
    return "<br>".join(f"{escape(name)} <span class=soft>{escape(spec)}</span>" for name, spec in zip(names, told))


def _amount(number: int | None, unit: str = "") -> str:
    return "?" if number is None else human(number, unit)


def _moved(cost: Cost) -> int | None:
    """The bytes that are known to be moved."""
    known = [amount for amount in (cost.bytes_read, cost.bytes_written) if amount is not None]
    return sum(known) if known else None


def _parameter(name: str, value: Any) -> str:
    held = value.dequantize() if isinstance(value, QTensor) else value
    cells = [_name(escape(name)), f"<td>{escape(describe(value))}"]
    if isinstance(held, np.ndarray):
        cells.append(_number(human(held.size)))
    spread = _spread(held) if isinstance(held, np.ndarray) and held.dtype.kind in "fiub" else Spread()
    if spread.strange:
        cells[0] += f" <span class=wrong>{spread.strange} not finite</span>"
    if spread.finite:
        told = (spread.least, spread.mean, spread.most, spread.deviation)
        cells += [_number(f"{number:.4g}") for number in told]
        cells += [_number(f"{spread.zeros / held.size:.1%}"), f"<td>{_histogram(spread)}"]
    return f"<tr>{''.join(cells)}{'<td>' * (9 - len(cells))}"


@dataclass
class Spread:
    """How the finite numbers of an array are spread, and how many are not finite."""

    finite: int = 0
    strange: int = 0
    zeros: int = 0
    least: float = np.inf
    most: float = -np.inf
    mean: float = 0.0
    deviation: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))


def _spread(value: np.ndarray) -> Spread:
    """Piece by piece: a parameter may take half of the memory."""
    found, flat = Spread(), value.reshape(-1)
    total = squares = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for part in _pieces(flat):
            found.finite += part.size
            found.zeros += part.size - int(np.count_nonzero(part))
            found.least, found.most = min(found.least, float(part.min())), max(found.most, float(part.max()))
            total += float(part.sum())
        found.strange = value.size - found.finite
        found.mean = total / max(found.finite, 1)
        half = found.most / 2 - found.least / 2  # the whole may be beyond float64
        for part in _pieces(flat):
            squares += float(np.square(part - found.mean).sum())
            places = (part / 2 - found.least / 2) / half * BINS if half > 0 else np.full(part.size, BINS / 2)
            found.counts += np.bincount(np.minimum(places, BINS - 1).astype(np.int64), minlength=BINS)
        found.deviation = float(np.sqrt(squares / max(found.finite, 1)))
    return found


def _pieces(flat: np.ndarray) -> Iterator[np.ndarray]:
    """The finite numbers of an array as float64, a piece at a time."""
    for at in range(0, flat.size, PIECE):
        part = flat[at : at + PIECE].astype(np.float64)
        part = part[np.isfinite(part)]
        if part.size:
            yield part


def _histogram(spread: Spread) -> str:
    """A small drawing of how the values are spread from the least to the greatest."""
    heights = np.ceil(20 * spread.counts / spread.counts.max()).astype(int)
    path = "".join(f"M{4 * i} 20v{-h}h3v{h}z" for i, h in enumerate(heights) if h)
    return (
        f"<svg width={4 * BINS} height=20 role=img aria-label=histogram>"
        f'<path d="{path}" fill="var(--bar)"/></svg>'
    )  # fmt: skip
