"""Problems of a configuration file: collected, and raised as one error in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from multiroute_core.configuration.places import KeyPath, Lines, find_line, show_path
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError

MAX_HINTS = 200
"""The most problems with a comparison to all names, which takes a quarter of a millisecond."""

MAX_SHOWN = 100
"""The most problems that one error lists; a file of another kind may have thousands."""


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
        """Add a problem: what is wrong, and what is expected. The key is not repeated before the sentence."""
        self.entries.append((path, message.removeprefix(f"{path[-1]}: ") if path else message))

    def raise_all(self) -> None:
        """Raise what was added.

        Raises:
            ConfigurationError: There is a problem.
        """
        if not self.entries:
            return
        texts = [self._describe(path, message) for path, message in self.sort()[:MAX_SHOWN]]
        count = len(self.entries)
        if count == 1:
            # A problem of the whole file has no place in it.
            joint = ": " if self._find_place(self.entries[0][0]) == "" else ", "
            raise ConfigurationError(f"{self.file}{joint}{texts[0]}")
        rest = [f"… and {count - MAX_SHOWN:,} more."] if count > MAX_SHOWN else []
        raise ConfigurationError(
            "\n".join((f"{self.file} has {count:,} errors:", *(f"  {text}" for text in (*texts, *rest))))
        )

    def sort(self) -> list[tuple[KeyPath, str]]:
        """Return what was added, in the order of the file."""
        ranks: dict[KeyPath, int] = {}
        last_ranks: dict[KeyPath, int] = {}  # of the last key within a key
        for rank, path in enumerate(self.order):
            ranks[path] = rank
            for length in range(len(path) + 1):
                last_ranks[path[:length]] = rank
        return sorted(self.entries, key=lambda entry: _rank(ranks, last_ranks, entry[0]))

    def _describe(self, path: KeyPath, message: str) -> str:
        where = self._find_place(path)
        return f"{where}: {message}" if where else message

    def _find_place(self, path: KeyPath) -> str:
        """Return the line and the dotted key of a problem; empty if it is about the whole file."""
        line = find_line(self.lines, path)
        return ", ".join(filter(None, (f"line {line}" if line is not None else "", printable(show_path(path)))))


def _rank(ranks: dict[KeyPath, int], last_ranks: dict[KeyPath, int], path: KeyPath) -> tuple[int, int]:
    """Return where a problem stands in the file: at its key, after the keys within it."""
    if path in ranks:
        return last_ranks[path], -len(path)
    while path and path not in ranks:
        path = path[:-1]
    return ranks.get(path, len(ranks)), 0
