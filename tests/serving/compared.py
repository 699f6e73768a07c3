"""Compares what passed directly and through a server, from the report of `scripts/standard`."""

from __future__ import annotations

import sys
from collections import defaultdict
from xml.etree import ElementTree


def main(path: str) -> int:
    """Print a line for each client and vendor; 1 if what passed directly failed through the server."""
    passed: dict[tuple[str, str], set[str]] = defaultdict(set)
    count: dict[tuple[str, str], int] = defaultdict(int)
    for case in ElementTree.parse(path).iter("testcase"):
        _, api, wire = case.attrib["classname"].rpartition(".")[2].split("_")
        count[api, wire] += 1
        if all(case.find(tag) is None for tag in ("failure", "error", "skipped")):
            passed[api, wire].add(case.attrib["name"])
    lost = 0
    for (api, wire), names in sorted(passed.items()):
        missing = sorted(passed[api, "directly"] - names)
        lost += len(missing)
        where = "directly" if wire == "directly" else f"through the server, routes of {wire}"
        print(f"{api:10} {where:40} {len(names):3} of {count[api, wire]} passed; lost: {', '.join(missing) or 'none'}")
    return 1 if lost or len(passed) < 15 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
