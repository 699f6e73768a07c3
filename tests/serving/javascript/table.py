"""Table of what the clients can do directly and through a server, from the outcomes of the suite."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

_WHERE = ("directly", "anthropic", "chat", "responses", "google")


@dataclass(frozen=True)
class Outcome:
    """One feature of one client in one place.

    Attributes:
        client: The client.
        feature: The feature.
        where: `"directly"`, or the API of the server's routes.
        error: Why it failed; empty if it passed; None if it is not tried there.
    """

    client: str
    feature: str
    where: str
    error: str | None


def compare(outcomes: list[Outcome]) -> int:
    """Print the table; return 1 if a feature fails through a server and does not fail directly."""
    rows: dict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)
    for outcome in outcomes:
        rows[outcome.client, outcome.feature][outcome.where] = outcome
    lost: list[Outcome] = []
    print(f"{'client':20} {'feature':34} " + " ".join(f"{where:9}" for where in _WHERE))
    for (client, feature), cells in sorted(rows.items()):
        marks: list[str] = []
        for where in _WHERE:
            outcome = cells.get(where)
            if outcome is None or outcome.error is None:
                marks.append("–")
                continue
            marks.append("failed" if outcome.error else "passed")
            if outcome.error and where != "directly" and not cells["directly"].error:
                lost.append(outcome)
        print(f"{client:20} {feature:34} " + " ".join(f"{mark:9}" for mark in marks))
    for outcome in lost:
        print(f"\nlost: {outcome.client}, {outcome.feature}, through routes of {outcome.where}\n  {outcome.error}")
    passed = sum(outcome.error == "" for outcome in outcomes)
    tried = sum(outcome.error is not None for outcome in outcomes)
    print(f"\n{len(rows)} features; {passed} of {tried} outcomes passed; {len(lost)} lost through the server")
    return 1 if lost or not rows else 0
