"""Bad input fails before any network call, with one sentence that says what to do."""

import subprocess
import sys

import pytest

import multiroute_core
from multiroute_core import ConfigurationError, Message, Route, Router
from multiroute_core.messages import Blob, File, ToolCall, ToolCallResponse, Uri
from multiroute_core.tools import Tool
from tests.chat_server import FACES, Fleet, answer, ask

CALL = Message("assistant", [ToolCall("call_7", "weather", {})])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Route("gpt-4.1"), "'gpt-4.1' is no route; write 'provider:model'"),
        (lambda: Route("openai:"), "is no route"),
        (lambda: Route(None), "is no route"),
        (lambda: Route("openia:gpt-4.1"), "Unknown provider 'openia': did you mean 'openai'"),
        (lambda: Route("anthropic:x", api="chat"), "api='chat' has no meaning for provider 'anthropic'"),
        (lambda: Route("openai:x", api="responces"), "did you mean 'responses'"),
        (lambda: Route("google:x", sdk="google-generative"), "did you mean 'google-generativeai'"),
        (lambda: Route("openai:x", base_url="127.0.0.1:80"), "must begin with http:// or https://"),
        (lambda: Route("openai:x", timeout=0), "timeout=0 must be a number of seconds above 0"),
        (lambda: Route("openai:x", tasks=[1]), "must be a set of words"),
        (lambda: Router([]), "routes=[] is empty"),
        (lambda: Router(), "set one of ANTHROPIC_API_KEY, GOOGLE_API_KEY, GEMINI_API_KEY, OPENAI_API_KEY"),
        (lambda: Router(["openai:gpt-4.1"]), "has no key: set OPENAI_API_KEY, or give Route(api_key=...)"),
        (lambda: Router([Route("openai:x", api_key="k")] * 2), "Two routes are named 'openai:x'"),
        (lambda: Router([Route("openai:x", api_key="k")], deadline=-1), "deadline=-1 must be a number of seconds"),
        (lambda: Router([Route("openai:x", api_key="k")], strategy="cheap"), "did you mean 'cheapest'"),
        (lambda: Router([Route("openai:x", api_key="k")], max_retries=-1), "must be a whole number, 0 or more"),
        (lambda: Router([Route("openai:x", api_key="k")], stall_timeout="1"), "stall_timeout='1' must be"),
        (lambda: multiroute_core.options(tsk="x").__enter__(), "Unknown option 'tsk': did you mean 'task'"),
    ],
)
def test_building(make, sentence):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("face", ["generate", "stream", "astream"])
@pytest.mark.parametrize(
    ("messages", "options", "sentence"),
    [
        ("", {}, "There are no messages"),
        ([], {}, "There are no messages"),
        ([("user", "")], {}, "The messages hold nothing"),
        (None, {}, "messages is a NoneType"),
        ([1], {}, "A message is a int"),
        ([{"role": "user"}], {}, "A message is a dict"),
        ([("robot", "x")], {}, "Role 'robot' is unknown; use one of 'system', 'user', 'assistant'"),
        (Message("user", [1]), {}, "A user message holds a int"),
        ([("user", None)], {}, "A message is a tuple"),
        ("x", {"temperature": 2.5}, "temperature=2.5 must be a number from 0 to 2"),
        ("x", {"temperature": True}, "temperature=True must be a number"),
        ("x", {"temperature": float("nan")}, "temperature=nan must be a number"),
        ("x", {"max_tokens": 0}, "max_tokens=0 must be a whole number, 1 or more"),
        ("x", {"top_p": 0}, "top_p=0 must be a number above 0 to 1"),
        ("x", {"stop": [""]}, "must be strings that are not empty"),
        ("x", {"stop": 5}, "must be strings that are not empty"),
        ("x", {"seed": 1.5}, "seed=1.5 must be a whole number"),
        ("x", {"system": 5}, "system=5 must be a string"),
        ("x", {"temprature": 1}, "Unknown option 'temprature': did you mean 'temperature'"),
        ("x", {"deadlin": 1}, "did you mean 'deadline'"),
        ("x", {"zzz": 1}, "known are cache, deadline, extra"),
        ("x", {"fallback": 1}, "fallback=1 must be True or False"),
        ("x", {"model": "gpt-4.2"}, "Unknown model 'gpt-4.2'"),
        ("x", {"tools": [{"name": " ", "parameters": {}}]}, "Tool ' ': a name is a text that is not empty"),
        ("x", {"tools": [Tool("f", parameters={"type": "array"})]}, "are of type 'array'; they must be an 'object'"),
        ("x", {"tools": [Tool("f", parameters={"properties": {"x": {"type": "str"}}})]}, "the type of 'x' is 'str'"),
        ("x", {"tools": [Tool("f"), {"type": "function", "name": "f"}]}, "Two tools are named 'f'"),
        ("x", {"tools": [5]}, "A tool is a int"),
        ("x", {"tools": [Tool("weather")], "tool_choice": "wether"}, "Unknown tool_choice 'wether': did you mean"),
        ("x", {"tools": [Tool("weather")], "tool_choice": 5}, "tool_choice=5 is unknown"),
        ("x", {"tool_choice": "required"}, "tool_choice='required' demands a tool, but there are none"),
        ("x", {"parallel_tool_calls": "no"}, "parallel_tool_calls='no' must be True or False"),
        ("x", {"output_schema": "yaml"}, "output_schema='yaml' is no form"),
        ("x", {"output_schema": {"type": "objekt"}}, "The output schema is no valid JSON schema"),
        ("x", {"reasoning": "hihg"}, "Unknown reasoning effort 'hihg': did you mean 'high'"),
        ("x", {"extra": {"opnai": {}}}, "Unknown provider in extra 'opnai': did you mean 'openai'"),
        ("x", {"extra": {"openai": {"model": "y"}}}, "says 'model', which the router says itself"),
        ([("user", "x"), {"role": "tool", "tool_call_id": "call_7", "content": "y"}], {}, "The tool call 'call_7' is"),
        ([("user", "x"), CALL, ("user", "y")], {}, "Tool calls without an answer: 'call_7' of 'weather'"),
        ([CALL, ("tool", [ToolCallResponse("call_7", "y")] * 2)], {}, "The tool call 'call_7' is answered twice"),
        ([("system", [Blob(b"x", "image/png")])], {}, "A system message holds a Blob, which has no place there"),
        ([("user", [{"type": "imge"}])], {}, "Unknown type of content 'imge': did you mean 'image'"),
    ],
)
def test_calling(face, messages, options, sentence):
    """Streams as well fail at the call, not at the first chunk."""
    with Fleet(answer()) as fleet:
        with pytest.raises(ConfigurationError) as caught:
            getattr(fleet.router, face)(messages, **options)
        assert sentence in str(caught.value)
        assert fleet.hits == [0]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("content", "options", "lack"),
    [
        (Blob(b"x", "video/mp4"), {}, "video"),
        (Blob(b"x", "audio/wav"), {}, "audio"),
        (Uri("https://x/a.pdf", None, "document"), {}, "document by its address"),
        (File("files/a", "google"), {}, "a file in the store of google"),
        ({"type": "container_upload", "file_id": "file_1"}, {}, "what only anthropic understands"),
        ("x", {"tools": [{"google_search": {}}]}, "what only google understands"),
    ],
)
def test_content_for_no_route(face, content, options, lack):
    """One error names the part, and each route that cannot carry it."""
    with Fleet(answer(), answer()) as fleet:
        with pytest.raises(ConfigurationError) as caught:
            ask(fleet.router, face, [("user", [content])], **options)
        assert str(caught.value) == (
            f"No route can carry all that this request needs: 'a': it cannot carry {lack}; 'b': it cannot carry {lack}."
        )
        assert fleet.hits == [0, 0]


def test_strict_params_says_which_route_drops_what():
    with Fleet(answer(), strict_params=True) as fleet:
        strict = Router([Route("anthropic:claude-sonnet-5-5", api_key="k")], strict_params=True)
        with pytest.raises(ConfigurationError, match="takes all the parameters given .*temperature"):
            strict.generate("Hi", temperature=0.5)
        assert fleet.router.generate("Hi", temperature=0.5).attempts[-1].dropped == ()


def test_a_missing_package_names_its_extra():
    code = (
        "import sys; sys.modules['anthropic'] = None\n"
        "from multiroute_core import Route, Router\n"
        "try: Router([Route('anthropic:claude-sonnet-5-5', api_key='k')])\n"
        "except ValueError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Route 'anthropic:claude-sonnet-5-5' needs a package that is not installed" in said
    assert "pip install 'multiroute-llm[anthropic]'" in said


def test_a_closed_router_says_so():
    with Fleet(answer()) as fleet:
        fleet.router.close()
        with pytest.raises(ConfigurationError, match="closed"):
            fleet.router.generate("Hi")
