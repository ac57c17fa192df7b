"""Python source: names, literals, and statements folded to lines as formatters lay them out."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

WIDTH = 88
TAB = "    "
# What a local of the generated source must not be called.
TAKEN = frozenset((
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "torch", "F", "nn", "Tensor", "Path", "load",
    "load_file", "math", "WEIGHTS",
))  # fmt: skip
OPENING, CLOSING = "([{", ")]}"
# Operators, those first that bind least.
PRECEDENCE = (
    ("or",), ("and",), ("==", "!=", "<", "<=", ">", ">="), ("|",), ("^",), ("&",), ("+", "-"),
    ("*", "/", "//", "@", "%"), ("**",),
)  # fmt: skip


def identifier(text: str) -> str:
    """A readable name made of any text: `conv1/7x7_s2` becomes conv1_7x7_s2."""
    name = re.sub(r"_{2,}", "_", re.sub(r"\W", "_", text, flags=re.ASCII)).strip("_")
    if not name or name[0].isdigit():
        name = f"x{name}"
    return name


def snake(text: str) -> str:
    """SpatialBN becomes spatial_bn."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text).lower()


def class_name(text: str) -> str:
    """A name for a class: bvlc_alexnet becomes BvlcAlexnet."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words) or "Net"
    taken = name[0].isdigit() or keyword.iskeyword(name) or name in ("Path", "Tensor", "F")
    return f"Net{name}" if taken else name


class Names:
    """Names already given away."""

    def __init__(self, taken: Sequence[str] = ()):
        self.taken = set(taken)

    def unique(self, name: str) -> str:
        """The name, with a number behind it where it is taken."""
        found, n = name, 2
        while found in self.taken:
            found, n = f"{name}_{n}", n + 1
        self.taken.add(found)
        return found


def literal(value: Any) -> str:
    """A value as Python source; a float that is a float32 in its shortest form."""
    if isinstance(value, (bool, np.bool_)):
        return repr(bool(value))
    if isinstance(value, (int, np.integer)):
        return repr(int(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if not np.isfinite(number):
            return f'float("{number}")'
        short = float(str(np.float32(number))) if abs(number) < 3e38 else number
        return repr(short if float(np.float32(short)) == number else number)
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """A string literal with the quotes that formatters prefer."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if '"' not in text else repr(text)


def fold(text: str, depth: int = 0) -> Iterator[str]:
    """The lines of one statement at this depth: as one line where it fits, else as formatters break it."""
    if len(TAB * depth) + len(text) <= WIDTH or text.startswith("#"):
        yield TAB * depth + text
        return
    head = _start(r"return |(if|while) |for \w+ in |[\w., ]+ = ", text)
    tail = ":" if text.endswith(":") else ""
    if len(TAB * depth) + len(head) > WIDTH and ", " in head:  # names to which parts of a value are given
        yield f"{TAB * depth}("
        yield from (f"{TAB * (depth + 1)}{name}," for name in _parts(head.removesuffix(" = ")))
        head, text = ") = ", ") = " + text[len(head) :]
    yield from laid_out(head, text[len(head) : len(text) - len(tail)], tail, depth)


def _start(pattern: str, text: str) -> str:
    found = re.match(pattern, text)
    return found.group() if found else ""


def laid_out(head: str, value: str, tail: str, depth: int, bare: bool = True) -> Iterator[str]:
    """The lines of an expression between what stands before and behind it; in parentheses if `bare` and need be."""
    indent, parts = TAB * depth, _parts(value)
    if len(indent + head + value + tail) <= WIDTH:
        yield indent + head + value + tail
    elif len(parts) > 1:
        yield f"{indent}{head}("
        yield from _within(value, depth + 1, called=False)
        yield f"{indent}){tail}"
    elif found := _opened(value, WIDTH - len(indent + head), bare):
        start, end = found
        called = bool(re.search(r"[\w)\]]$", value[:start]))
        yield indent + head + value[: start + 1]
        yield from _within(value[start + 1 : end], depth + 1, called)
        yield indent + value[end:] + tail
    elif bare:
        yield f"{indent}{head}("
        yield from _terms("", value, "", depth + 1)
        yield f"{indent}){tail}"
    else:
        yield from _terms(head, value, tail, depth)


def _within(text: str, depth: int, called: bool) -> Iterator[str]:
    """The lines between brackets: of a call or a subscript in one line where they fit, of a list or a tuple never."""
    parts = _parts(text)
    several = len(parts) > 1 or text.endswith(",")
    if len(TAB * depth) + len(text) <= WIDTH and (called or not several):
        yield TAB * depth + text
        return
    for part in parts:
        head = _start(r"\w+=(?!=)", part)
        yield from laid_out(head, part[len(head) :], "," if several else "", depth, bare=False)


def _terms(head: str, text: str, tail: str, depth: int) -> Iterator[str]:
    """An expression within brackets; where it is too long, each operand of its outermost operators has a line."""
    cuts = _operators(text) if len(TAB * depth + head + text + tail) > WIDTH else []
    if not cuts:
        found = _opened(text, WIDTH - len(TAB * depth + head), bare=False)
        yield from laid_out(head, text, tail, depth, bare=False) if found else [TAB * depth + head + text + tail]
        return
    for start, end in zip([0, *cuts], [*cuts, len(text)]):
        sign = _start(r"[^\w.]\S* |(or|and) ", text[start:end]) if start else ""
        term = text[start + len(sign) : end].strip()
        yield from _terms(sign if start else head, term, tail if end == len(text) else "", depth)


def _operators(text: str) -> list[int]:
    """Where the operators of lowest precedence outside brackets stand; without any, the calls of a chain of them."""
    outside = ["."] * len(text)
    for i, c, level in _levels(text):
        outside[i] = c if level == 0 else "."
    signs = [(m.start() + 1, m.group(1)) for m in re.finditer(r" (\S+)(?= )", "".join(outside))]
    found = ([i for i, sign in signs if sign in kinds] for kinds in PRECEDENCE)
    calls = [m.start() + 1 for m in re.finditer(r"[)\]]\.", "".join(outside))]
    return next(filter(None, found), calls if len(calls) > 1 else [])


def _opened(text: str, room: int, bare: bool) -> tuple[int, int] | None:
    """The bracket that is opened up: the last one that the text before it leaves room for; of a bare expression with
    one operator the last of all or the first."""
    levels = [(i, c) for i, c, level in _levels(text) if level == 0 and c in OPENING + CLOSING]
    pairs = [(i, j) for (i, _), (j, _) in zip(levels[::2], levels[1::2]) if text[i + 1 : j].strip()]
    cuts = _operators(text)
    if len(cuts) > bare or not pairs:
        return None
    if cuts:
        first, last = pairs[0], pairs[-1]
        if last[1] == len(text) - 1 and text[-1] == ")" and last[0] < room:
            return last
        return first if first[0] == 0 and text[0] == "(" else None
    return next((pair for pair in reversed(pairs) if pair[0] < room), None)


def _levels(text: str) -> Iterator[tuple[int, str, int]]:
    """(place, character, how many brackets are open); a bracket counts as outside of itself; strings are left out."""
    level, quote = 0, ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
            continue
        if c in "\"'":
            quote = c
            continue
        level -= c in CLOSING
        yield i, c, level
        level += c in OPENING


def operand(text: str) -> str:
    """An expression that something can be done with: in brackets where operators stand outside of all brackets."""
    loose = text.startswith(("-", "~")) or any(c == " " and level == 0 for _, c, level in _levels(text))
    return f"({text})" if loose else text


def listed(texts: Iterable[object]) -> str:
    """A tuple of expressions."""
    parts = [str(text) for text in texts]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def raised(base: object, exponent: object) -> str:
    """A power, with the spaces that formatters leave around its sign."""
    simple = all(re.fullmatch(r"-?[\w.]+", str(text)) for text in (base, exponent))
    return f"{base}**{exponent}" if simple else f"{base} ** {exponent}"


def _parts(text: str) -> list[str]:
    """The parts between the commas outside brackets."""
    cuts = [i for i, c, level in _levels(text) if c == "," and level == 0]
    parts = [text[a:b].strip() for a, b in zip([0, *(c + 1 for c in cuts)], [*cuts, len(text)])]
    return [part for part in parts if part]
