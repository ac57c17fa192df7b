"""The errors of the surface: whatever the engine raises arrives as RuntimeError, as from the original."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from caffe2ops.errors import OperatorError
from caffe2ops.formats.error import FormatError

P = ParamSpec("P")
R = TypeVar("R")
ENGINE_ERRORS = (ValueError, TypeError, LookupError, OSError, FormatError)


class ArgumentError(TypeError):
    """The surface was called with an argument of a type that it does not take; it passes as it is."""


class FunctionError(Exception):
    """A function of a Python operator has raised what this comes from."""


def runtime_errors(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the surface: errors of the engine become RuntimeError, those of a Python operator pass as they
    are."""

    @functools.wraps(function)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ArgumentError:
            raise
        except OperatorError as error:
            if isinstance(error.__cause__, FunctionError):
                raise error.__cause__.__cause__ from None  # type: ignore[misc]
            raise
        except ENGINE_ERRORS as error:
            raise RuntimeError(str(error)) from error

    return answer
