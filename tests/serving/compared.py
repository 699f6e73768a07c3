"""Compares what passed directly and through a server, from the report of `scripts/standard`."""

from __future__ import annotations

import sys
from collections import defaultdict
from xml.etree import ElementTree


def main(path: str) -> int:
    """Print a line for each client and vendor; 1 if what passed directly failed through the server."""
    passed: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    count: dict[tuple[str, str, str], int] = defaultdict(int)
    for case in ElementTree.parse(path).iter("testcase"):
        emulator, api, wire = case.attrib["classname"].rpartition(".")[2].split("_")
        key = emulator.removeprefix("Test"), api, wire
        count[key] += 1
        if all(case.find(tag) is None for tag in ("failure", "error", "skipped")):
            passed[key].add(case.attrib["name"])
    lost = 0
    for (emulator, api, wire), names in sorted(passed.items()):
        missing = sorted(passed[emulator, api, "directly"] - names)
        lost += len(missing)
        where = "directly" if wire == "directly" else f"through the server, routes of {wire}"
        result = f"{len(names):3} of {count[emulator, api, wire]} passed; lost: {', '.join(missing) or 'none'}"
        print(f"{'llmock' if emulator == 'Emulated' else 'our own':8} {api:10} {where:40} {result}")
    return 1 if lost or len(passed) < 30 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
