"""Tools by text alone, as ReAct prompts ask for them: read into the same words as a vendor's own, and written back."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace

from tests.vendors.asked import Answer, Asked, Call, Offered, Result, Turn

_TOOL = re.compile(r"> Tool Name: (\S+)\nTool Description: (.*?)\nTool Args: (\{.*?\})\n", re.DOTALL)
_ACTION = re.compile(r"Action: (\S+)\nAction Input: (\{.*\})", re.DOTALL)


def read(asked: Asked) -> Asked | None:
    """The request with its tools and their answers where a vendor's own would stand; None for any other prompt."""
    if "Action Input:" not in asked.system:
        return None
    tools = [Offered(name, text, json.loads(schema)) for name, text, schema in _TOOL.findall(asked.system + "\n")]
    turns: list[Turn] = []
    name = ""
    for turn in asked.turns:
        for text in turn.texts:
            if turn.role == "assistant" and (action := _ACTION.search(text)):
                name = action[1]
                turns.append(Turn("assistant", calls=[Call(name, ast.literal_eval(action[2]))]))
            elif turn.role == "user" and text.startswith("Observation:"):
                turns.append(Turn("user", results=[Result(name, text.removeprefix("Observation:").strip())]))
            else:
                turns.append(Turn(turn.role, [text]))
    return replace(asked, system="", tools=tools, turns=turns, parallel=False)


def write(answer: Answer) -> str:
    """An answer as such a prompt wants it."""
    if answer.calls:
        call = answer.calls[0]
        return f"Thought: I need a tool for that.\nAction: {call.name}\nAction Input: {json.dumps(call.arguments)}"
    return f"Thought: I can answer without using any more tools.\nAnswer: {answer.text}"
