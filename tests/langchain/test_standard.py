"""LangChain's own tests for chat models, unit and integration, on every wire, plain and with the first route dead."""

import pytest

from tests.langchain.conftest import RAN
from tests.langchain.standard import Integration, Unit

pytestmark = pytest.mark.standard


class TestUnitAnthropic(Unit):
    wire = "anthropic"


class TestUnitChat(Unit):
    wire = "chat"


class TestUnitResponses(Unit):
    wire = "responses"


class TestUnitGoogle(Unit):
    wire = "google"


class TestAnthropic(Integration):
    wire = "anthropic"


class TestAnthropicStandsIn(TestAnthropic):
    dead = True


class TestChat(Integration):
    wire = "chat"


class TestChatStandsIn(TestChat):
    dead = True


class TestResponses(Integration):
    wire = "responses"


class TestResponsesStandsIn(TestResponses):
    dead = True


class TestGoogle(Integration):
    wire = "google"
    audio = True


class TestGoogleStandsIn(TestGoogle):
    dead = True


WIRES = ("Anthropic", "Chat", "Responses", "Google")
SKIPS = {
    # LangChain loads the classes that its own table lists; one of another package cannot be among them.
    **{f"TestUnit{wire}::test_serdes": "Skipped: Model is not serializable." for wire in WIRES},
    # It replays recorded HTTP to measure the framework's own time; the servers here answer live.
    **{f"Test{wire}{way}::test_stream_time": "Skipped: VCR not set up." for wire in WIRES for way in ("", "StandsIn")},
    # The models of these APIs that see pictures hear nothing.
    **{
        f"Test{wire}{way}::test_audio_inputs": "Skipped: Model does not support audio inputs."
        for wire in WIRES
        if wire != "Google"
        for way in ("", "StandsIn")
    },
}
"""What is skipped, and what the suite says of it. Nothing else is."""


def test_what_is_skipped_is_listed(request):
    ran = request.config.stash[RAN]
    here = {
        name: reason for name, reason in ran.items() if name.startswith("Test") and name.split("::")[0] in globals()
    }
    assert {name: reason for name, reason in here.items() if reason} == {
        name: reason for name, reason in SKIPS.items() if name in here
    }
