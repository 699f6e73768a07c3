"""Records as a ledger gives them, and ledgers in files."""

import pytest

from multiroute_core.ledger.record import Record
from multiroute_core.ledger.sqlite import SQLiteStore

NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC


def record(number=0, **more):
    said = {
        "ended_at": NOON + number,
        "request_id": f"r-{number}",
        "route": "openai:gpt-5-mini",
        "provider": "openai",
        "model": "gpt-5-mini",
        "outcome": "success",
        "seconds": 1.0,
        "first_token_seconds": 0.25,
        "input_tokens": 1000,
        "output_tokens": 200,
        "cost": 0.002,
        "stream": True,
    }
    return Record(**(said | more))


def failure(number=0, outcome="timeout", **more):
    nothing = dict.fromkeys(("first_token_seconds", "input_tokens", "output_tokens", "cost"))
    return record(number, **({"outcome": outcome} | nothing | more))


def hit(number=0, **more):
    return record(number, **({"outcome": "cached", "input_tokens": 0, "output_tokens": 0, "cost": 0.0} | more))


@pytest.fixture
def ledger(tmp_path):
    """Writes records into a ledger's file; gives its path."""

    def write(*records, name="ledger.db"):
        store = SQLiteStore(f"sqlite:///{tmp_path}/{name}")
        if records:
            store.append(records, 0)
        store.close()
        return tmp_path / name

    return write
