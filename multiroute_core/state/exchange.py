"""What the scripts are asked, and what they reply."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from multiroute_core.resilience.admission import Permit, Why
from multiroute_core.resilience.provider_limits import RateLimitHeaders
from multiroute_core.resilience.rate_limits import RateLimitSettings
from multiroute_core.route import Route
from multiroute_core.state.breaker_log import Opening
from multiroute_core.state.scripts import script

encode = msgspec.msgpack.encode


class Admission(msgspec.Struct):
    """What `admit` and `confirm` reply; `closed` is whether `confirm` closed the breaker."""

    why: Why | None = None
    seconds: float = 0.0
    generation: int = 0
    probe: bool = False
    mark: float = 0.0
    closed: bool = False


class Settled(msgspec.Struct):
    """What `settle` replies.

    Attributes:
        counted: Whether the verdict counted.
        opened: The breakers that it opened.
        generation: Of the route's breaker that it closed; None for none.
    """

    counted: bool
    opened: list[Opening] = []
    generation: int | None = None


class HealthReply(msgspec.Struct):
    """What `standing` replies: numbers as of `Standing`.

    Attributes:
        blocked: What keeps the route from being used besides its breaker, such as `"rate_limit"`; None for nothing.
    """

    breaker: Literal["closed", "open", "half_open"]
    retry_in: float
    in_flight: int
    limit: float | None = None
    requests_left: float | None = None
    tokens_left: float | None = None
    blocked: str | None = None


read_leave = msgspec.msgpack.Decoder(Admission).decode
read_settled = msgspec.msgpack.Decoder(Settled).decode
read_told = msgspec.msgpack.Decoder(HealthReply).decode


class Quota:
    """The keys of a quota, and what its routes say of its limits.

    Attributes:
        keys: Its allowance, its routes' breakers and its places in flight. They share a hash tag, so that a cluster has
            them in one place.
        routes: The names of its routes, as far as this process knows them.
        limits: Its settings, written for the scripts.
    """

    __slots__ = ("keys", "limits", "routes", "settings")

    def __init__(self, prefix: str, name: str) -> None:
        tag = f"{{{prefix}:{quote(name, safe='-._/')}}}"
        self.keys = f"{tag}:allowance", f"{tag}:breakers", f"{tag}:places"
        self.routes: list[str] = []
        self.settings = RateLimitSettings()
        self.limits = msgspec.Raw(encode(self.settings))

    def know(self, route: Route) -> None:
        """One more route."""
        settings = self.settings
        self.routes.append(route.name)
        self.settings = RateLimitSettings(
            route.rpm or settings.rpm, route.tpm or settings.tpm, route.max_concurrency or settings.max_concurrency
        )
        self.limits = msgspec.Raw(encode(self.settings))


@dataclass(frozen=True, slots=True)
class Settling:
    """The command that settles; made when it is sent, since it says how long ago that was.

    Attributes:
        keys: The quota's.
        asked: The rest of what the script wants to know.
        at: The moment of the settling, on this process's monotonic clock.
    """

    keys: tuple[str, ...]
    arguments: dict[str, Any]
    at: float

    def __call__(self, again: bool, /) -> tuple[Any, ...]:  # noqa: FBT001  (it is a `Command`)
        age = 0.0 if "now" in self.arguments else time.monotonic() - self.at
        return script("settle"), self.keys, encode({**self.arguments, "age": age, "again": again})


def of_breaker(permit: Permit) -> dict[str, Any]:
    """What the breaker wants to see of a permit."""
    return {"generation": permit.generation, "probe": permit.probe}


def since(headroom: RateLimitHeaders | None, now: float) -> dict[str, dict[str, float]] | None:
    """What headers said, with its moments in seconds from now: Redis has another clock."""
    if headroom is None:
        return None
    levels = {name: level for name in RateLimitHeaders.__slots__ if (level := getattr(headroom, name)) is not None}
    return {name: {**asdict(level), "reset": level.reset - now, "at": level.at - now} for name, level in levels.items()}
