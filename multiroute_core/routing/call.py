"""A validated call: its request, its options and its candidates."""

from __future__ import annotations

from dataclasses import dataclass, field

from multiroute_core.options import Options
from multiroute_core.route import Route
from multiroute_core.types import Request


@dataclass(frozen=True, slots=True)
class Call:
    """A validated call.

    Attributes:
        request_id: Included in every event.
        request: The request.
        options: The routing options.
        routes: The candidates, in the given order.
        tokens: The estimated tokens of the request.
        stream: Whether the response is streamed.
    """

    request_id: str
    request: Request = field(repr=False)  # a traceback may show local variables
    options: Options
    routes: tuple[Route, ...]
    tokens: int
    stream: bool
