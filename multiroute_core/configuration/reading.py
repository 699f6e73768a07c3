"""Reading of a configuration file: TOML, YAML or JSON as plain data, with the lines of its keys."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from multiroute_core.configuration.places import KeyPath, Lines, find_toml_lines
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid

MAX_VALUES = 50_000
"""The most values of a file: aliases of YAML can multiply a small file beyond any memory."""

MAX_BYTES = 8_000_000
"""The largest file. Python's parser of TOML takes seconds for as much."""

MAX_DEPTH = 60
"""The deepest nesting of a file; a JSON schema for `accept` is the deepest that is usual."""

_TOML_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file as plain data.

    Attributes:
        file: The file, as it is named in errors.
        data: Its content.
        lines: The lines of its keys, where they are known.
    """

    file: str
    data: dict[str, Any] = field(repr=False)
    lines: Lines = field(repr=False)


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read a configuration file; its extension names its format.

    Args:
        path: A file `.toml`, `.yaml`, `.yml` or `.json`.

    Raises:
        ConfigurationError: It cannot be read, is empty, its format is unknown, or it has a syntax error or a key twice.
            Syntax errors name the line and the column.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(cast("Any", path)), str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise invalid("path", path, "the path of a configuration file")
    file = Path(path)
    name = printable(str(path))
    parse = _FORMATS.get(file.suffix.lower())
    if parse is None:
        raise ConfigurationError(f"{name} has no known format; expected a file .toml, .yaml, .yml or .json.")
    try:
        content = read_content(file)
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigurationError(f"{name} cannot be read: {reason}; expected a configuration file.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}, line {line}: the file is not UTF-8; save it as UTF-8.") from None
    except ValueError:  # Python before 3.12 words it differently
        raise ConfigurationError(f"{name} cannot be read: a path has no zero byte; correct the path.") from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{name} is too large; expected at most {MAX_BYTES:,} bytes.")
    if not text.strip():
        # Many programs empty a file before they write it again: it does not mean the default of every setting.
        raise ConfigurationError(f"{name} is empty; expected keys such as 'routes' at the top.")
    try:
        data, lines = parse(name, text)
        if data is None:
            data = {}
        _check_size(name, data, 0, [0])
    except RecursionError:
        raise ConfigurationError(f"{name} is nested too deeply; expected at most {MAX_DEPTH} levels.") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{name} holds no table; expected keys such as 'routes' at the top.")
    return Document(name, cast("dict[str, Any]", data), lines)


def read_content(file: Path) -> bytes:
    """Return the content of a file; of one that is too large, one byte more than `MAX_BYTES`.

    Raises:
        OSError: The file cannot be read.
        ValueError: The path is not one.
    """
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _syntax_error(name: str, line: int | None, column: int | None, what: str) -> ConfigurationError:
    """Build the error for a syntax error."""
    where = "" if line is None else f", line {line}" + ("" if column is None else f", column {column}")
    return ConfigurationError(f"{name}{where}: {printable(what).rstrip('.')}; correct the syntax there.")


def _parse_toml(name: str, text: str) -> tuple[Any, Lines]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.fullmatch(str(error))
        if match is None:
            raise _syntax_error(name, None, None, str(error)) from None
        line, column = (match["line"], match["column"]) if match["line"] else (text.count("\n") + 1, None)
        raise _syntax_error(name, int(line), None if column is None else int(column), match["what"]) from None
    except ValueError:
        raise _long_number(name) from None
    return data, find_toml_lines(text)


def _parse_json(name: str, text: str) -> tuple[Any, Lines]:
    def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise ConfigurationError(f"{name}: the key {twice!r} is there twice in one object; remove one of them.")
        return table

    def reject_constant(word: str) -> None:
        raise ConfigurationError(f"{name}: {word} is not JSON; expected a number.")

    try:
        return json.loads(text, object_pairs_hook=build_object, parse_constant=reject_constant), {}
    except json.JSONDecodeError as error:
        raise _syntax_error(name, error.lineno, error.colno, error.msg) from None
    except ConfigurationError:  # it is a ValueError as well
        raise
    except ValueError:
        raise _long_number(name) from None


def _parse_yaml(name: str, text: str) -> tuple[Any, Lines]:
    try:
        import yaml
    except ImportError as error:
        raise ConfigurationError(
            f"{name} needs a package that is not installed ({error}); run: pip install PyYAML, or write TOML or JSON."
        ) from error
    loader = yaml.SafeLoader(text)
    try:
        node = cast("Any", loader.get_single_node())
        lines: dict[KeyPath, int] = {}
        if node is None:
            return None, {}
        _check_yaml(name, node, (), lines, [0])
        return cast("Any", loader).construct_document(node), lines
    except ConfigurationError:  # it is a ValueError as well
        raise
    except yaml.MarkedYAMLError as error:
        mark = cast("Any", error.problem_mark or error.context_mark)
        what = " ".join(filter(None, (error.context, error.problem))) or "a syntax error"
        raise _syntax_error(name, mark and mark.line + 1, mark and mark.column + 1, what) from None
    except (yaml.YAMLError, ValueError) as error:  # a character that YAML forbids, or a date such as 2026-13-41
        if "digits" in str(error):
            raise _long_number(name) from None
        raise _syntax_error(name, None, None, str(error).partition("\n")[0]) from None
    finally:
        cast("Any", loader).dispose()


def _check_yaml(name: str, node: Any, path: KeyPath, lines: dict[KeyPath, int], size: list[int]) -> None:
    """Check the nodes of a YAML text before it is built: keys are texts, and each is there once."""
    size[0] += 1
    if size[0] > MAX_VALUES or len(path) > MAX_DEPTH:
        raise _too_large(name)
    if node.id == "sequence":
        for index, item in enumerate(node.value):
            lines[*path, index] = item.start_mark.line + 1
            _check_yaml(name, item, (*path, index), lines, size)
    elif node.id == "mapping":
        keys: set[str] = set()
        for key, value in node.value:
            mark = key.start_mark
            if key.tag == "tag:yaml.org,2002:merge":
                _check_yaml(name, value, path, {}, size)
                continue
            if key.id != "scalar" or key.tag != "tag:yaml.org,2002:str":
                raise _syntax_error(name, mark.line + 1, mark.column + 1, "a key that is not a text; put it in quotes")
            if key.value in keys:
                what = f"the key {key.value!r} is there twice; remove one of them"
                raise _syntax_error(name, mark.line + 1, mark.column + 1, what)
            keys.add(key.value)
            lines[*path, key.value] = mark.line + 1
            _check_yaml(name, value, (*path, key.value), lines, size)


def _check_size(name: str, value: Any, depth: int, size: list[int]) -> None:
    size[0] += 1
    if size[0] > MAX_VALUES or depth > MAX_DEPTH:
        raise _too_large(name)
    if isinstance(value, dict):
        for inner in cast("dict[str, Any]", value).values():
            _check_size(name, inner, depth + 1, size)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            _check_size(name, inner, depth + 1, size)


def _long_number(name: str) -> ConfigurationError:
    """Build the error for the one thing that the parsers leave to Python's `int`."""
    return ConfigurationError(f"{name}: a number has too many digits; expected at most 64 bits.")


def _too_large(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is too large; expected at most {MAX_VALUES:,} values on {MAX_DEPTH} levels, aliases included."
    )


_FORMATS: dict[str, Callable[[str, str], tuple[Any, Lines]]] = {
    ".toml": _parse_toml,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".json": _parse_json,
}
"""The parsers by the extension of a file."""
