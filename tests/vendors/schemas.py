"""Values that are valid for a JSON schema, made of what a question says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_STARTS = frozenset(
    "a an and are answer as assistant call can compute convert could create describe do does extract find first for from generate "
    "get give good hello hey hi how i if in is it json let list look make my no now only or please reply return say search send "
    "should show solve summarize tell the then there this to translate try use user using what when where which who why "
    "with without write yes you your".split()
)
_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*"
_FORMATS = {
    "date": "2026-11-25",
    "date-time": "2026-11-25T12:00:00Z",
    "time": "12:00:00Z",
    "email": "cat@example.com",
    "uri": "https://example.com/",
    "uuid": "6f1c2f1e-5a0f-4b52-9d1e-0c8a5b0f4a11",
}


@dataclass
class Hints:
    """What a question offers as values. Numbers and strings are used up as they are taken.

    Attributes:
        eager: Whether properties that may be left out are filled too, as long as there are values.
    """

    question: str
    numbers: list[float] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    eager: bool = False

    @classmethod
    def of(cls, question: str, keys: set[str]) -> Hints:
        """The numbers, the quoted strings and the proper names of `question`; names of properties are no values."""
        quoted = [
            a or b or c or d
            for a, b, c, d in re.findall(r"'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|「([^」]+)」|“([^”]+)”", question)
        ]
        rest = question
        for text in quoted:
            rest = rest.replace(text, " ")
        numbers = [number(found) for found in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])", rest)]
        return cls(question, numbers, [text for text in [*quoted, *names(rest)] if text not in keys])


def number(text: str) -> float:
    """A number as JSON has it: whole where it is whole."""
    return float(text) if "." in text else int(text)


def names(text: str) -> list[str]:
    """Proper names: words with capitals, several in a row as one, `San Francisco, CA` too."""
    found: list[str] = []
    for match in re.finditer(rf"{_WORD}(?: {_WORD})*(?:, [A-Z]{{2}}\b)?", text):
        words = match.group().rstrip(".,'’").split(" ")
        while words and re.split(r"['’]", words[0].lower().rstrip(".,"))[0] in _STARTS:
            words = words[1:]
        if words:
            found.append(" ".join(words))
    return [*found, *re.findall(r"[\u3040-\u30ff\u3400-\u9fff]+", text)]


def keys(schema: Any) -> set[str]:
    """All names of properties in a schema."""
    if isinstance(schema, list):
        return {name for item in schema for name in keys(item)}
    if not isinstance(schema, dict):
        return set()
    here = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return here | {name for value in schema.values() for name in keys(value)}


def example(schema: Any, hints: Hints, *, name: str = "answer", root: Any = None, depth: int = 0) -> Any:
    """A value that is valid for `schema`."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema or "ref" in schema:
        target = root
        for step in str(schema.get("$ref") or schema.get("ref")).removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return example(target, hints, name=name, root=root, depth=depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        said = hints.question.lower()
        return next((v for v in schema["enum"] if isinstance(v, str) and v.lower() in said), schema["enum"][0])
    if schema.get("allOf"):
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            if "$ref" in part:
                return example(part, hints, name=name, root=root, depth=depth + 1)
            merged = {**merged, **part}
        return example(merged, hints, name=name, root=root, depth=depth)
    for key in ("anyOf", "oneOf", "any_of"):
        if schema.get(key):
            options = [option for option in schema[key] if option.get("type") not in ("null", "NULL")] or schema[key]
            if depth > 6:  # a schema that holds itself ends where it may
                options = [o for o in schema[key] if o.get("type") in ("null", "NULL")] or options
            return example(options[0], hints, name=name, root=root, depth=depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    kind = str(kind or ("object" if "properties" in schema else "array" if "items" in schema else "string")).lower()
    match kind:
        case "object":
            return _object(schema, hints, root, depth)
        case "array":
            return _array(schema, hints, name, root, depth)
        case "integer" | "number":
            return _number(schema, hints, whole=kind == "integer")
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, hints, name)


def _object(schema: dict[str, Any], hints: Hints, root: Any, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    required = set(schema.get("required") or ())
    for key, value in (schema.get("properties") or {}).items():
        said = re.search(rf"\b{re.escape(key)}\s*[=:]\s*(-?\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\"|\w+)", hints.question)
        if said:
            given = said.group(1)
            plain = given.strip("'\"")
            made[key] = number(given) if re.fullmatch(r"-?\d+(\.\d+)?", given) and _numeric(value) else plain
            if isinstance(made[key], str) and (_numeric(value) or not _texty(value)):
                made[key] = example(value, hints, name=key, root=root, depth=depth + 1)
            elif made[key] in hints.strings:
                hints.strings.remove(made[key])
            elif made[key] in hints.numbers:
                hints.numbers.remove(made[key])
        elif key in required or (_wanted(key, value, hints) and depth < 4):
            made[key] = example(value, hints, name=key, root=root, depth=depth + 1)
    return made


def _array(schema: dict[str, Any], hints: Hints, name: str, root: Any, depth: int) -> list[Any]:
    items = schema.get("items") or (schema.get("prefixItems") or [{"type": "string"}])[0]
    fitting = len(hints.numbers) if _numeric(items) else len(hints.strings) if _texty(items) else 0
    least = int(schema.get("minItems") or 0)
    size = max(least, 0 if depth > 6 else 1, fitting)
    size = min(size, int(schema.get("maxItems") or size))
    return [example(items, hints, name=name, root=root, depth=depth + 1) for _ in range(size)]


def _number(schema: dict[str, Any], hints: Hints, *, whole: bool) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))

    def fits(value: float) -> bool:
        return (
            (not whole or value == int(value))
            and value >= schema.get("minimum", value)
            and value <= schema.get("maximum", value)
            and not ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
            and not ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
            and not (schema.get("multipleOf") and value % schema["multipleOf"])
        )

    for value in hints.numbers:
        if fits(value):
            hints.numbers.remove(value)
            return int(value) if whole else value
    step = schema.get("multipleOf") or 1
    tries = [1, 0, step, *(edge + way * step for edge in (low, high) if edge is not None for way in (0, 1, -1))]
    if low is not None and high is not None:
        tries.append((low + high) / 2)
    found = next((value for value in tries if fits(value)), 1)
    return int(found) if whole else found


def _string(schema: dict[str, Any], hints: Hints, name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if hints.strings:
        words = hints.strings.pop(0)
    elif found := re.search(r"\b(?:in|of|for|about|at|named|called|to) (?!the\b|a\b)(\w+)", hints.question):
        words = f"{found.group(1)}"
    else:
        words = str(schema.get("description") or name.replace("_", " ")).rstrip(".")
    words = words.ljust(int(schema.get("minLength") or 1), ".")
    return words[: int(schema["maxLength"])] if schema.get("maxLength") else words


def _texty(schema: Any) -> bool:
    return isinstance(schema, dict) and str(schema.get("type", "")).lower() == "string" and "enum" not in schema


def _numeric(schema: Any) -> bool:
    return isinstance(schema, dict) and str(schema.get("type", "")).lower() in ("integer", "number")


def _wanted(key: str, schema: Any, hints: Hints) -> bool:
    """Whether the question speaks of a property that may be left out."""
    said = hints.question.lower()
    if hints.eager and ((_numeric(schema) and hints.numbers) or (_texty(schema) and hints.strings)):
        return True
    if isinstance(schema, dict) and schema.get("enum"):
        return any(isinstance(value, str) and value.lower() in said for value in schema["enum"])
    return (
        re.search(rf"\b{re.escape(key.lower().replace('_', ' '))}\b", said) is not None
        and f"no {key.lower()}" not in said
    )
