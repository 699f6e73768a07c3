"""Models that need no key: three rules, not language models. The first one meets its rate limit at the fifth call."""

from __future__ import annotations

import json
import re
from collections import Counter

from multiroute_core import Route
from multiroute_core.testing import Answer, Behaviour, IncomingCall, rate_limited, scripted_route

RULES = (
    (r"Approval: none recorded\.", "Payment without approval", "high", "Obtain the approval."),
    (r"The account was still active \d+ days", "Access after leaving", "high", "Close accounts on the last day."),
    (r"No other offer was obtained\.", "Purchase without comparison", "medium", "Ask for three offers."),
)


def offline_routes() -> list[Route]:
    """Two models that answer alike."""

    def first(call: IncomingCall) -> Behaviour:
        return rate_limited(0.2) if call.number == 4 else respond(call)

    cheap, dear = {"input": 0.5, "output": 2.0}, {"input": 3.0, "output": 15.0}
    return [scripted_route("large", first, prices=dear), scripted_route("small", respond, prices=cheap)]


def respond(call: IncomingCall) -> Answer:
    """The findings of a section as JSON, or a summary of all findings."""
    if call.request.output_schema:
        return Answer(json.dumps({"findings": find(call.text)}), first_token=0.02)
    findings = json.loads(call.text[call.text.index("[") : call.text.rindex("]") + 1])
    counts = Counter(f"{finding['title'].lower()} ({finding['severity']})" for finding in findings)
    return Answer("The audit found " + ", ".join(f"{count} times {title}" for title, count in counts.items()) + ".")


def find(section: str) -> list[dict[str, str]]:
    """What the rules find in the entries of a section."""
    return [
        {"entry": entry, "title": title, "severity": severity, "quote": match[0], "advice": advice}
        for entry, text in re.findall(r"(\w-\d+)\. (.+)", section)
        for pattern, title, severity, advice in RULES
        if (match := re.search(pattern, text))
    ]
