"""Optional packages, imported when a port needs them."""

from __future__ import annotations

import importlib
from typing import Any

EXTRAS = {"torch": "torch", "safetensors": "torch"}  # package -> extra, where it is not `port`


def need(name: str) -> Any:
    """The package of that name. Raises ImportError that names the extra which brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"porting needs the package {name!r}, which is not here ({error}); install it with "
            f"pip install 'caffe2ops[{EXTRAS.get(name.partition('.')[0], 'port')}]'"
        ) from error
