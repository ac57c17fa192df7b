"""Rules: how a node of ONNX is said in Caffe2. One module a family, found by walking; `rule` registers.

A rule is called as `rule(g, node, *inputs)`: a Builder, the Node with its attributes, and the Values of its inputs
(None for one left out). It gives the Values of the outputs, or raises NotPortable with the reason.
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
    """Registers a function for these operators of ONNX."""

    def register(function: Rule) -> Rule:
        for type_name in types:
            if type_name in _rules:
                raise ValueError(f"there are two rules for {type_name}")
            _rules[type_name] = function
        return function

    return register


@cache
def rules() -> dict[str, Rule]:
    """All rules by ONNX's operator."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_rules.items()))
