"""Rules: how an operator is said in ONNX. One module a family, found by walking; `rule` and `row` register.

A rule is called as `rule(g, op, *inputs)`: a Builder, the instantiated Operator with its typed arguments, and the
Values of its inputs. It gives the Values of the outputs, or raises NotPortable.

Operators of 8 bits may have a second rule, `exact`: whole numbers instead of floats between quantisations.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

Rule = Callable[..., Any]
_rules: dict[str, Rule] = {}
_exact: dict[str, Rule] = {}


def rule(*types: str, exact: bool = False) -> Callable[[Rule], Rule]:
    """Registers a function for these operator types."""
    table = _exact if exact else _rules

    def register(function: Rule) -> Rule:
        for type_name in types:
            if type_name in table:
                raise ValueError(f"there are two rules for {type_name}")
            table[type_name] = function
        return function

    return register


def nodes(**names: str) -> None:
    """Registers operators that are one ONNX node without attributes: Caffe2's name = ONNX's name."""
    for type_name, node in names.items():
        rule(type_name)(lambda g, op, *inputs, node=node: g.op(node, *inputs))


@cache
def rules() -> dict[str, Rule]:
    """All rules by operator type."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_rules.items()))


@cache
def exact_rules() -> dict[str, Rule]:
    """The same with those for whole numbers where there is one."""
    return {**rules(), **_exact}
