"""Keys that a server refuses: what is seen at once in them, without a part of the key. Pure."""

from __future__ import annotations

import re

_FORMS = (
    ("anthropic", re.compile(r"sk-ant-")),
    ("openrouter", re.compile(r"sk-or-")),
    ("openai", re.compile(r"sk-(?:proj|svcacct|admin)-")),
    ("google", re.compile(r"AIza")),
    ("groq", re.compile(r"gsk_")),
    ("xai", re.compile(r"xai-")),
)
"""How the keys of a vendor begin, where no other vendor's do."""

_PLACEHOLDER = re.compile(r"your|my[-_]key|\.\.\.|…|x{4}|<.*>|change[-_ ]?me|placeholder|dummy|replace", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\w+|%\w+%|os\.environ/\w+|env:\w+|\{\{.*\}\}")


def explain_key(key: str, provider: str) -> str:
    """Return what seems to be wrong with a refused key, without a part of it; empty if it looks like one.

    Args:
        key: The key.
        provider: The provider of the route.

    Example:
        >>> explain_key("'sk-1234'", "openai")
        'it is in quotes; leave them out'
    """
    if len(key) > 1 and key[0] == key[-1] and key[0] in "'\"`":
        return "it is in quotes; leave them out"
    if re.match(r"bearer\s", key, re.IGNORECASE):
        return "it begins with the word Bearer, which the SDK adds; leave it out"
    if re.match(r"(?:export )?[A-Z][A-Z0-9_]*=", key):
        return "it begins with the name of a variable; set the value alone"
    if _REFERENCE.fullmatch(key):
        return "it is a reference to a variable that nothing has replaced; in a configuration file, write ${NAME}"
    if re.search(r"\s", key):
        return "it has a space in it; set the key alone"
    if _PLACEHOLDER.search(key):
        return "it looks like a placeholder"
    vendor = next((name for name, form in _FORMS if form.match(key)), provider)
    return "" if vendor == provider else f"it has the form of a key of {vendor}"
