"""Whatever a server sends ends as an answer or a typed error, and nothing is left: `scripts/fuzz` runs this for long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.examples import examples
from tests.hostile.mutations import Plan, plans
from tests.hostile.probe import Probe

EVERY_CHECK: Any = list(HealthCheck)  # as it iterates, its members seem to be its metaclass's

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("guarded", [False, True], ids=["plain", "guarded"])
@pytest.mark.parametrize("wire", ["chat", "responses", "anthropic", "google"])
def test_a_mutated_reply_ends_as_an_answer_or_a_typed_error_and_leaves_nothing(server, wire, guarded):
    with Probe(server, guarded=guarded) as probe:

        @settings(
            max_examples=examples(10 if guarded else 25),
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=EVERY_CHECK,
        )
        @given(plans(wire))
        def ask(plan: Plan) -> None:
            server.reply(*plan.pieces)
            probe.ask(wire)

        ask()
        probe.check_growth()
