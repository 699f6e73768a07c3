"""Assembles streamed tool arguments, which Gemini sends if a caller sets `streamFunctionCallArguments`."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from multiroute_core._util.json_text import MAX_DEPTH, NestingError
from multiroute_core.providers.body import array, mapping, word

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[(['\"])(.*?)\3\]")
_VALUES = ("stringValue", "numberValue", "boolValue")


class Arguments:
    """The arguments received so far.

    Attributes:
        made: The arguments as an object.
    """

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def add(self, pieces: Any) -> None:
        """Put each fragment at its path, such as `$.trips[0].city`; strings are appended to."""
        for raw_piece in array(pieces):
            piece = mapping(raw_piece)
            steps = _steps(word(piece.get("jsonPath")) or "")
            value: Any = next((piece[name] for name in _VALUES if name in piece), None)
            if not steps:
                continue
            if len(steps) > MAX_DEPTH:
                raise NestingError
            place: Any = self.made
            for step, after in pairwise(steps):
                if _at(place, step) is None:
                    _put(place, step, [] if isinstance(after, int) else {})
                place = _at(place, step)
            before: Any = _at(place, steps[-1])
            together = isinstance(before, str) and isinstance(value, str)
            _put(place, steps[-1], before + value if together else value)


def _steps(path: str) -> list[str | int]:
    matches = _STEP.finditer(path)
    return [int(step[2]) if step[2] is not None else step[1] or step[4] or "" for step in matches]


def _at(place: Any, step: str | int) -> Any:
    """Return the value at a step; None if there is none."""
    if isinstance(step, int):
        return next(iter(place[step : step + 1]), None)
    return place.get(step)


def _put(place: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        place[step : step + 1] = [value]  # items arrive in order, so the index is at most the length
    else:
        place[step] = value
