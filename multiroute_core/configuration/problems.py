"""Problems of a configuration file: collected, and raised as one error in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from multiroute_core.configuration.places import KeyPath, Lines, find_line, show_path
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError


@dataclass(slots=True)
class Problems:
    """What is wrong with a file.

    Attributes:
        file: The file, as it is named.
        lines: The lines of its keys.
        order: The keys in the order of the file.
        entries: The dotted key and the sentence of each problem.
    """

    file: str
    lines: Lines = field(default_factory=dict[KeyPath, int])
    order: Sequence[KeyPath] = ()
    entries: list[tuple[KeyPath, str]] = field(default_factory=list[tuple[KeyPath, str]])

    def add(self, path: KeyPath, message: str) -> None:
        """Add a problem: what is wrong, and what is expected."""
        self.entries.append((path, message))

    def raise_all(self) -> None:
        """Raise what was added.

        Raises:
            ConfigurationError: There is a problem.
        """
        if not self.entries:
            return
        texts = [self._describe(path, message) for path, message in self.sort()]
        if len(texts) == 1:
            raise ConfigurationError(f"{self.file}, {texts[0]}")
        raise ConfigurationError("\n".join((f"{self.file} has {len(texts)} errors:", *(f"  {text}" for text in texts))))

    def sort(self) -> list[tuple[KeyPath, str]]:
        """Return what was added, in the order of the file."""
        ranks = {path: rank for rank, path in enumerate(self.order)}
        return sorted(self.entries, key=lambda entry: _rank(ranks, entry[0]))

    def _describe(self, path: KeyPath, message: str) -> str:
        line = find_line(self.lines, path)
        where = ", ".join(filter(None, (f"line {line}" if line is not None else "", printable(show_path(path)))))
        return f"{where}: {message}" if where else message


def _rank(ranks: dict[KeyPath, int], path: KeyPath) -> tuple[int, int]:
    """Return where a problem stands in the file: at its key, after the keys within it."""
    if path in ranks:
        inside = [rank for other, rank in ranks.items() if other[: len(path)] == path]
        return max(inside), -len(path)
    while path and path not in ranks:
        path = path[:-1]
    return ranks.get(path, len(ranks)), 0
