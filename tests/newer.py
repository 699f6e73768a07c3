"""What older versions of the frameworks lack: files and tests that need it are skipped there, and say why."""

import pytest


def needed(module, name, reason):
    """The name in the module; the file that asks is skipped where either is missing."""
    value = getattr(pytest.importorskip(module, reason=reason), name, None)
    if value is None:
        pytest.skip(reason, allow_module_level=True)
    return value
