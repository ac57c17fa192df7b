"""The one exception of this package."""

from __future__ import annotations


class FormatError(ValueError):
    """A file, or bytes, that are not what they should be; the message says where and what was found."""

    def __init__(self, problem: str, at: int | None = None, path: tuple[str, ...] = ()) -> None:
        self.problem, self.at, self.path = problem, at, path
        where = ".".join(path)
        if at is not None:
            where = f"{where} at byte {at}" if where else f"byte {at}"
        super().__init__(f"{where}: {problem}" if where else problem)

    def within(self, *outer: str) -> FormatError:
        """The same, seen from a level further out: `outer` goes before the path."""
        return FormatError(self.problem, self.at, outer + self.path)
