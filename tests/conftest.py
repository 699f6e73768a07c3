"""Shared by all tests: no keys of the machine get in, and small chat servers that say what they are told."""

import pytest

from multiroute_core.providers import models

VARIABLES = [name for names in models.KEYS.values() for name in names]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in (*VARIABLES, "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
