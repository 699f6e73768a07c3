"""Bad input fails before any network call, with one sentence that says what to do."""

# The wrong types are the subject.
# pyright: reportArgumentType=false

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
        (lambda: Route("gpt-4.1"), "'gpt-4.1' is not a valid route; expected 'provider:model'"),
        (lambda: Route("openai:"), "is not a valid route"),
        (lambda: Route(None), "is not a valid route"),
        (lambda: Route("openia:gpt-4.1"), "Unknown provider 'openia': did you mean 'openai'"),
        (lambda: Route("anthropic:x", api="chat"), "api='chat' has no meaning for provider 'anthropic'"),
        (lambda: Route("openai:x", api="responces"), "did you mean 'responses'"),
        (lambda: Route("google:x", sdk="google-generative"), "did you mean 'google-generativeai'"),
        (lambda: Route("openai:x", base_url="127.0.0.1:80"), "expected a URL with http:// or https://"),
        (lambda: Route("openai:x", timeout=0), "timeout=0 is not valid; expected a number of seconds greater than 0"),
        (lambda: Route("openai:x", tasks=[1]), "expected one or more non-empty strings"),
        (lambda: Router([]), "routes=[] is empty"),
        (lambda: Router(), "set one of ANTHROPIC_API_KEY, GOOGLE_API_KEY, GEMINI_API_KEY, OPENAI_API_KEY"),
        (lambda: Router(["openai:gpt-4.1"]), "has no API key: set OPENAI_API_KEY, or pass Route(api_key=...)"),
        (lambda: Router([Route("openai:x", api_key="k")] * 2), "Two routes are named 'openai:x'"),
        (
            lambda: Router([Route("openai:x", api_key="k")], deadline=-1),
            "deadline=-1 is not valid; expected a number of seconds",
        ),
        (lambda: Router([Route("openai:x", api_key="k")], strategy="cheap"), "did you mean 'cheapest'"),
        (lambda: Router([Route("openai:x", api_key="k")], max_retries=-1), "expected an integer of at least 0"),
        (lambda: Router([Route("openai:x", api_key="k")], stall_timeout="1"), "stall_timeout='1' is not valid"),
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
        ([("user", "")], {}, "The messages are empty"),
        (None, {}, "messages is a NoneType"),
        ([1], {}, "A message is a int"),
        ([{"role": "user"}], {}, "A message is a dict"),
        ([("robot", "x")], {}, "'robot' is not a valid role; expected one of 'system', 'user', 'assistant'"),
        (Message("user", [1]), {}, "A user message contains a int"),
        ([("user", None)], {}, "A message is a tuple"),
        ("x", {"temperature": 2.5}, "temperature=2.5 is not valid; expected a number of at least 0 and at most 2"),
        ("x", {"temperature": True}, "temperature=True is not valid; expected a number"),
        ("x", {"temperature": float("nan")}, "temperature=nan is not valid; expected a number"),
        ("x", {"max_tokens": 10**400}, "is not valid; expected an integer of at most 1,000,000,000,000"),
        ("x", {"max_tokens": 0}, "max_tokens=0 is not valid; expected an integer of at least 1"),
        ("x", {"top_p": 0}, "top_p=0 is not valid; expected a number greater than 0 and at most 1"),
        ("x", {"stop": [""]}, "expected non-empty strings"),
        ("x", {"stop": 5}, "expected non-empty strings"),
        ("x", {"seed": 1.5}, "seed=1.5 is not valid; expected an integer"),
        ("x", {"system": 5}, "system=5 is not valid; expected a string"),
        ("x", {"temprature": 1}, "Unknown option 'temprature': did you mean 'temperature'"),
        ("x", {"deadlin": 1}, "did you mean 'deadline'"),
        ("x", {"zzz": 1}, "expected one of accept, cache, deadline"),
        ("x", {"fallback": 1}, "fallback=1 is not valid; expected True or False"),
        ("x", {"model": "gpt-4.2"}, "Unknown model 'gpt-4.2'"),
        ("x", {"tools": [{"name": " ", "parameters": {}}]}, "Tool ' ': its name must be a non-empty string"),
        ("x", {"tools": [Tool("f", parameters={"type": "array"})]}, "are of type 'array'; they must be an 'object'"),
        ("x", {"tools": [Tool("f", parameters={"properties": {"x": {"type": "str"}}})]}, "the type of 'x' is 'str'"),
        ("x", {"tools": [Tool("f"), {"type": "function", "name": "f"}]}, "Two tools are named 'f'"),
        ("x", {"tools": [5]}, "A tool is a int"),
        ("x", {"tools": [Tool("weather")], "tool_choice": "wether"}, "Unknown tool_choice 'wether': did you mean"),
        ("x", {"tools": [Tool("weather")], "tool_choice": 5}, "tool_choice=5 is not valid"),
        ("x", {"tool_choice": "required"}, "tool_choice='required' requires a tool, but there are no tools"),
        ("x", {"parallel_tool_calls": "no"}, "parallel_tool_calls='no' is not valid; expected True or False"),
        ("x", {"output_schema": "yaml"}, "output_schema='yaml' is not a valid schema"),
        ("x", {"output_schema": {"type": "objekt"}}, "The output schema is not a valid JSON schema"),
        ("x", {"reasoning": "hihg"}, "Unknown reasoning effort 'hihg': did you mean 'high'"),
        ("x", {"extra": {"opnai": {}}}, "Unknown provider in extra 'opnai': did you mean 'openai'"),
        ("x", {"extra": {"openai": {"model": "y"}}}, "sets 'model', which the router sets itself"),
        ([("user", "x"), {"role": "tool", "tool_call_id": "call_7", "content": "y"}], {}, "The tool call 'call_7' has"),
        ([("user", "x"), CALL, ("user", "y")], {}, "Tool calls without a result: 'call_7' of 'weather'"),
        ([CALL, ("tool", [ToolCallResponse("call_7", "y")] * 2)], {}, "The tool call 'call_7' has two results"),
        ([("system", [Blob(b"x", "image/png")])], {}, "A system message contains a Blob, which is not allowed there"),
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
        (Uri("https://x/a.pdf", None, "document"), {}, "document by URL"),
        (File("files/a", "google"), {}, "a file stored at google"),
        ({"type": "container_upload", "file_id": "file_1"}, {}, "content that only anthropic supports"),
        ("x", {"tools": [{"google_search": {}}]}, "content that only google supports"),
    ],
)
def test_content_for_no_route(face, content, options, lack):
    """One error names the part, and each route that cannot carry it."""
    with Fleet(answer(), answer()) as fleet:
        with pytest.raises(ConfigurationError) as caught:
            ask(fleet.router, face, [("user", [content])], **options)
        assert str(caught.value) == (
            f"No route supports everything that this request needs: 'a': it does not support {lack}; 'b': it does not support {lack}."
        )
        assert fleet.hits == [0, 0]


def test_strict_params_says_which_route_drops_what():
    with Fleet(answer(), strict_params=True) as fleet:
        strict = Router([Route("anthropic:claude-sonnet-5-5", api_key="k")], strict_params=True)
        with pytest.raises(ConfigurationError, match="supports all parameters .*temperature"):
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
