"""`docs/migration.md`, written from the migration table: `python -m tests.migration_page > docs/migration.md`."""

from multiroute_core.migration.actions import (
    Action,
    Invert,
    LeaveOut,
    ProviderKey,
    ProviderOption,
    Rename,
    RouteSetting,
    Write,
)
from multiroute_core.migration.names import ALIASES, LINES, NOTHING_TO_SET, PROVIDER_OPTIONS, ROUTES
from multiroute_core.migration.rendering import render_call

HEAD = """\
# Migration

`ChatMultiRoute` replaces `ChatOpenAI`, `ChatAnthropic` or `init_chat_model` in one line, `MultiRoute` replaces LlamaIndex's
`OpenAI`, and `Router` replaces LiteLLM's `completion` and `Router`:

```python
from langchain_openai import ChatOpenAI

from langchain_multiroute import ChatMultiRoute

llm = ChatOpenAI(model="gpt-4.1", max_completion_tokens=500)  # before
llm = ChatMultiRoute(model="gpt-4.1", max_completion_tokens=500)  # after
llm = ChatMultiRoute("openai:gpt-4.1", "anthropic:claude-haiku-5-5", max_tokens=500)  # with a fallback
```

Line by line, before and after: [from LangChain](migration/langchain.md), [from LiteLLM](migration/litellm.md), [from LlamaIndex's
LLMs](migration/llamaindex.md).

The names below are accepted by `Router`, `ChatMultiRoute` and `MultiRoute`, and as options of a call, or they are answered
with the line to write. Where a name is accepted, the name on the right is the documented one; type checkers know that one
only. `None` always means "not given". An option of a call that is given to `Router(...)` is answered with the call.
`multiroute import litellm.yaml` converts a [configuration file](command_line.md#multiroute-import) of LiteLLM.
"""


def becomes(action: Action) -> str:
    """Describe an action for a cell of a table."""
    if isinstance(action, Rename):
        names = {
            "provider": "the part of a route before the colon",
            "fallbacks": "more routes",
            "model_list": "`routes`",
        }
        return names.get(action.option, f"`{action.option}`")
    if isinstance(action, Invert):
        return f"`{action.option}`, inverted"
    if isinstance(action, RouteSetting):
        return f"`Route({action.setting}=...)`"
    if isinstance(action, ProviderKey):
        return f"`Route(api_key=...)` of the `{action.provider}` routes"
    if isinstance(action, ProviderOption):
        inner = "..." if action.field is None else f'{{"{action.field}": ...}}'
        if action.header:
            inner = f'{{"extra_headers": {{"{action.header}": ...}}}}'
        return f'`extra={{"{action.provider}": {inner}}}`'
    if isinstance(action, LeaveOut):
        return f"leave it out: {action.reason}"
    if isinstance(action, Write):
        values = "".join(f"; {given!r}: `{code}`" for given, code in (action.values or {}).items())
        code = action.code.replace("{value}", "...").replace("{text}", "host").replace("{route}", "'openai:gpt-4.1'")
        return f"`{code}`" if action.option == "routes" else f"`{action.option}={code}`{values}"
    line = action.lines.get("ChatMultiRoute") or action.lines["Router"]
    call = render_call("ChatMultiRoute", {"routes": "openai:gpt-4.1"})
    line = line.replace("{call}", call if "ChatMultiRoute" in action.lines else 'Router("openai:gpt-4.1")')
    for place, text in (("{value}", "..."), ("{model}", "'gpt-4.1'"), ("{name}", "..."), ("{{", "{"), ("}}", "}")):
        line = line.replace(place, text)
    return f"`{line}`"


def page() -> str:
    """The page's text."""
    sections = (
        ("Another word", "These are accepted.", ALIASES),
        (
            "Routes",
            "These are accepted where there is one route; with several, the error shows the `Route` to write.",
            ROUTES,
        ),
        (
            "Options of one provider",
            "These are accepted where all routes are of one provider; with several, the error shows the `extra` to write.",
            PROVIDER_OPTIONS,
        ),
        ("Nothing to set", "A value that describes what happens anyway is accepted.", NOTHING_TO_SET),
        ("Written differently", "The error shows the line, with your other arguments.", LINES),
    )
    text = HEAD
    for title, intro, rows in sections:
        text += f"\n## {title}\n\n{intro}\n\n| name | from | here |\n|---|---|---|\n"
        for row in rows:
            names = ", ".join(f"`{name}`" for name in row.names)
            note = f". {row.note}" if row.note else ""
            text += f"| {names} | {row.libraries} | {becomes(row.action)}{note} |\n"
    return text


if __name__ == "__main__":
    print(page(), end="")
