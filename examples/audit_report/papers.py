"""The documents under audit: three long, invented ones, alike in every run. No person, company or account is real."""

from __future__ import annotations

import random

PAY = "On {day}, {sum} EUR were paid to {firm}, account {iban}. Contact: {person}. {fact} The invoice is filed."
LEAVE = "{person} left on {day}. {fact} Keys and devices were returned, and the handover was confirmed in writing."
BUY = "On {day} the committee chose {firm} for {sum} EUR. {fact} Minutes by {person}. The contract ends in 2028."
TEXTS = {
    "Payments journal": (PAY, "Approved by the head of finance.", "Approval: none recorded."),
    "Access review": (LEAVE, "The account was closed that day.", "The account was still active {days} days later."),
    "Minutes of purchasing": (BUY, "The lowest of three offers was chosen.", "No other offer was obtained."),
}
"""Of each document: the text of an entry, the fact as it should be, and as it should not."""


def write_papers(entries: int = 60) -> dict[str, str]:
    """Three documents by title, of so many entries each; one entry in twelve has something wrong."""
    dice, papers = random.Random(7), {}
    for title, (text, good, bad) in TEXTS.items():
        lines = [
            f"{title[0]}-{1001 + n}. " + text.replace("{fact}", bad if n % 12 == 5 else good) for n in range(entries)
        ]
        papers[title] = "\n\n".join(line.format(**_details(dice)) for line in lines)
    return papers


def _details(dice: random.Random) -> dict[str, str | int]:
    first, last = dice.choice(("Ada", "Bo", "Cleo", "Finn")), dice.choice(("Amsel", "Birke", "Dorn", "Holm"))
    account = str(dice.randrange(10**17, 10**18))
    return {
        "person": f"{first} {last} ({first.lower()}.{last.lower()}@audit.example, +49 30 9018{dice.randrange(20, 99)})",
        "iban": f"DE{98 - int(account + '131400') % 97:02}{account}",
        "firm": dice.choice(("Amberfield Ltd", "Birchwater GmbH", "Coppergate BV")),
        "day": f"{dice.randrange(1, 29)} {dice.choice(('January', 'March', 'June'))} 2026",
        "sum": f"{dice.randrange(200, 9_000):,}",
        "days": dice.randrange(12, 90),
    }
