"""Rules: how an operator is said in PyTorch. One module a family, found by walking; `rule` registers.

A rule is called as `rule(t, op, *inputs)`: a Writer, the instantiated Operator with its typed arguments, and the
Tensors of its inputs. It gives the expression of each output (None for one that nobody reads), or a Several for a call
that gives them all at once, or raises NotPortable.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

Rule = Callable[..., Any]
_rules: dict[str, Rule] = {}


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Registers a function for these operator types."""

    def register(function: Rule) -> Rule:
        for type_name in types:
            if type_name in _rules:
                raise ValueError(f"there are two rules for {type_name}")
            _rules[type_name] = function
        return function

    return register


def expressions(**texts: str) -> None:
    """Registers operators that are one expression without arguments: Caffe2's name = the expression, {0} an input."""
    for type_name, text in texts.items():
        rule(type_name)(lambda t, op, *inputs, text=text: text.format(*inputs))


@cache
def rules() -> dict[str, Rule]:
    """All rules by operator type."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_rules.items()))
