"""One checked call: its request, its options and its candidates."""

from __future__ import annotations

from dataclasses import dataclass, field

from multiroute_core.options import Options
from multiroute_core.route import Route
from multiroute_core.types import Request


@dataclass(frozen=True, slots=True)
class Call:
    """One call, checked.

    Attributes:
        request_id: It stands in every event.
        request: What is asked.
        options: How it is routed.
        routes: The candidates, as they are listed.
        tokens: The request's tokens, estimated.
        stream: Whether the answer comes in chunks.
    """

    request_id: str
    request: Request = field(repr=False)  # a traceback may show local variables
    options: Options
    routes: tuple[Route, ...]
    tokens: int
    stream: bool
