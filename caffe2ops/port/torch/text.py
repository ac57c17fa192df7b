"""Python source: names, literals, and statements folded to lines as formatters lay them out."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator, Sequence
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
    return name if not name[0].isdigit() and name not in ("Path", "Tensor", "F") else f"Net{name}"


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
    """The lines of one statement at this depth: as one line where it fits, else its last bracket opened up."""
    indent = TAB * depth
    if len(indent) + len(text) <= WIDTH:
        yield indent + text
        return
    found = _last_bracket(text)
    if found is None or (" = " in text and len(indent) + found[0] + 1 > WIDTH):
        head, sign, rest = text.partition(" = ")
        if not sign or rest.startswith("("):
            yield indent + text
            return
        yield f"{indent}{head} = ("
        yield from _terms(rest, depth + 1)
        yield f"{indent})"
        return
    start, end = found
    yield indent + text[: start + 1]
    for part in _parts(text[start + 1 : end]):
        yield from fold(f"{part},", depth + 1)
    yield indent + text[end:]


def _terms(text: str, depth: int) -> Iterator[str]:
    """An expression in parentheses; where it is too long, each operand of its outermost operator has a line."""
    indent = TAB * depth
    cuts = _operators(text) if len(indent) + len(text) > WIDTH else []
    for start, end in zip([0, *cuts], [*cuts, len(text)]):
        yield from fold(text[start:end].strip(), depth)


def _operators(text: str) -> list[int]:
    """Where the operators of lowest precedence outside brackets stand."""
    for signs in (("+", "-"), ("*", "/", "@")):
        found = [i for i, c, level in _levels(text) if level == 0 and c in signs and text[i - 1] == text[i + 1] == " "]
        if found:
            return found
    return []


def _last_bracket(text: str) -> tuple[int, int] | None:
    """The arguments of the call, or elements of the list, that a statement ends with; None where it ends otherwise."""
    closers = [i for i, c, level in _levels(text) if c in CLOSING and level == 0]
    if not closers:
        return None
    end = closers[-1]
    tail = text[end + 1 :]
    start = max(i for i, c, level in _levels(text) if c in OPENING and level == 0 and i < end)
    if text[start] == "[" and text[start - 1] == ")":  # a part of what a call gives
        end, tail = start - 1, text[start:]
        start = max(i for i, c, level in _levels(text) if c in OPENING and level == 0 and i < end)
    called = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_)]")
    if not text[start + 1 : end].strip():
        return None
    if text[start] == "(" and not called and not _parts(text[start + 1 : end])[1:]:
        return None
    if text[start] == "[" and called:
        return None
    if re.search(r" [-+*/@] ", "".join(c for i, c, level in _levels(text[:start]) if level == 0).partition(" = ")[2]):
        return None
    return (start, end) if tail in ("", ",", ")", ":") or tail.startswith((".", "[")) else None


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


def _parts(text: str) -> list[str]:
    """The parts between the commas outside brackets."""
    cuts = [i for i, c, level in _levels(text) if c == "," and level == 0]
    parts = [text[a:b].strip() for a, b in zip([0, *(c + 1 for c in cuts)], [*cuts, len(text)])]
    return [part for part in parts if part]
