"""Extension of griffe: our docstrings title an example `Example:`, griffe reads `Examples:`."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Titles examples as griffe does."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change a docstring as soon as its object is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
