"""JSON Schema of configuration files, written from the same shapes by which files are checked.

Editors use it to complete and check a file (`#:schema` in TOML, `$schema` in JSON, `yaml-language-server` in YAML). It
is a JSON Schema of the draft 2020-12 (https://json-schema.org/draft/2020-12, read 2026-11-30).
"""

from __future__ import annotations

import json
from typing import Any

from multiroute_core.configuration.building import NONE
from multiroute_core.configuration.catalogue import Catalogue
from multiroute_core.configuration.loading import SCHEMA_KEY
from multiroute_core.configuration.shapes import Choices, Fields, Items, Named, OneOf, Pairs, Scalar, Shape, Unwritable
from multiroute_core.configuration.variables import WHOLE_REFERENCE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = {"$ref": "#/$defs/variable"}


def build_schema(router: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of the configuration files of a router.

    It rejects what the loader rejects, except for what a schema cannot say: names that are there twice, variables that
    are not set, the values of variables, time zones, the ids of price lists, and settings that a provider does not
    have.

    Args:
        router: The class, `Router`.

    Example:
        >>> build_schema(Router)["type"]  # doctest: +SKIP
        'object'
    """
    writer = _Writer()
    schema = writer.write_table(Catalogue(router, dict).top)
    schema["properties"] = {SCHEMA_KEY: {"type": "string"}, **schema["properties"]}
    return {
        "$schema": DIALECT,
        "title": "MultiRoute configuration",
        **schema,
        "$defs": {
            "variable": {"type": "string", "pattern": WHOLE_REFERENCE, "description": "An environment variable."},
            **writer.definitions,
        },
    }


def dump_schema(router: type[Any]) -> str:
    """Return the text of the published file `schema.json`."""
    return json.dumps(build_schema(router), indent=1, ensure_ascii=False) + "\n"


class _Writer:
    """Writes shapes as schemas; a table that is used in several places becomes a definition."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def write(self, shape: Shape) -> dict[str, Any]:
        match shape:
            case Scalar():
                return _write_scalar(shape)
            case Choices():
                return {"anyOf": [{"enum": list(shape.values)}, _REFERENCE]}
            case Items():
                least = {"minItems": shape.least} if shape.least else {}
                return {"type": "array", "items": self.write(shape.item), **least}
            case Pairs():
                return {"type": "object", "additionalProperties": self.write(shape.value)}
            case OneOf():
                return {"anyOf": [self.write(option) for option in shape.options]}
            case Fields():
                return self._refer(shape.name, lambda: self.write_table(shape))
            case Named():
                return self._refer(shape.what.replace(" ", "_"), lambda: self._write_named(shape))
            case Unwritable():
                return {"not": {}}
            case _:
                return {"type": "object"}

    def write_table(self, fields: Fields, name: str | None = None) -> dict[str, Any]:
        properties: dict[str, Any] = {} if name is None else {"name": {"const": name}}
        for key, shape in fields.writable.items():
            written = self.write(shape)
            if key not in fields.required:
                options = [*written["anyOf"]] if list(written) == ["anyOf"] else [written]
                written = {"anyOf": [*options, {"enum": [None, NONE] if key in fields.nullable else [None]}]}
            properties[key] = written
        required = [*([] if name is None else ["name"]), *fields.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
            **fields.rules,
        }

    def _write_named(self, named: Named) -> dict[str, Any]:
        plain = [name for name, fields in named.entries.items() if not fields.required]
        tables = [self.write_table(fields, name) for name, fields in named.entries.items()]
        return {"anyOf": [{"enum": plain}, *tables]}

    def _refer(self, name: str, write: Any) -> dict[str, Any]:
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = write()
        return {"$ref": f"#/$defs/{name}"}


def _write_scalar(shape: Scalar) -> dict[str, Any]:
    if shape.kind == "string":
        form = {"type": "string", "pattern": r"\S", **shape.rules}
        return {"anyOf": [form, {"type": "string", "pattern": r"\$\{"}]} if "pattern" in shape.rules else form
    return {"anyOf": [{"type": shape.kind, **shape.rules}, _REFERENCE]}
