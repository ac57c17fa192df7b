"""The generated files that are committed are those that the registry and the models give."""

from __future__ import annotations

from caffe2ops import generated


def test_generated_files_are_current() -> None:
    stale = [str(path.relative_to(generated.ROOT)) for path in generated.stale()]
    assert not stale, f"run `make docs`: {', '.join(stale)}"
