"""Compares pydantic models down to what their own equality leaves out. Support for tests, no test."""

from typing import Any


def assert_same(built: Any, validated: Any) -> None:
    """Assert that two models are equal, also in what serialization reads besides the fields."""
    assert type(built) is type(validated)
    assert built == validated
    assert vars(built) == vars(validated)
    assert list(vars(built)) == list(vars(validated))
    assert built.model_fields_set == validated.model_fields_set
    assert built.model_extra == validated.model_extra
    assert built.__pydantic_private__ == validated.__pydantic_private__
    assert built.model_dump() == validated.model_dump()
    assert built.model_dump_json(exclude_unset=True) == validated.model_dump_json(exclude_unset=True)
