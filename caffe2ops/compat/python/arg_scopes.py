"""The functions of brew by name, and the default arguments that they get inside `arg_scope` blocks."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

helpers: dict[str, Callable[..., Any]] = {}


class _Scopes(threading.local):
    defaults: dict[str, dict[str, Any]] = {}


_current = _Scopes()


@contextmanager
def arg_scope(single_helper_or_list: Any, **kwargs: Any) -> Iterator[None]:
    """Default arguments of one or several of these functions inside the block; inner blocks win."""
    functions = single_helper_or_list if isinstance(single_helper_or_list, list) else [single_helper_or_list]
    old = _current.defaults
    _current.defaults = dict(old)
    for function in functions:
        _current.defaults[function.__name__] = {**old.get(function.__name__, {}), **kwargs}
    try:
        yield
    finally:
        _current.defaults = old


def get_current_scope() -> dict[str, dict[str, Any]]:
    """The default arguments by function."""
    return _current.defaults


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Registers a function of brew; what it takes is filled in from the scopes."""
    name = function.__name__
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    @wraps(function)
    def scoped(model: Any, *args: Any, **kwargs: Any) -> Any:
        defaults = {key: value for key, value in model.arg_scope.items() if takes_all or key in parameters}
        return function(model, *args, **{**defaults, **_current.defaults.get(name, {}), **kwargs})

    helpers[name] = scoped
    return scoped
