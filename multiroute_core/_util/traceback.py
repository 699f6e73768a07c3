"""Short tracebacks in IPython, Jupyter and pytest: the user's lines and the error's sentence.

The traceback itself stays complete, for logs and debuggers. The variable `MULTIROUTE_TRACEBACK=full` shows it all.
IPython asks an exception to render itself (`_render_traceback_`, IPython/core/interactiveshell.py); pytest leaves out
frames whose module or function has `__tracebackhide__` (https://docs.pytest.org/en/stable/example/simple.html, read
2026-11-29). So nothing is done before an error is shown.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

VARIABLE = "MULTIROUTE_TRACEBACK"
"""The environment variable; `"full"` shows all frames."""


def is_full() -> bool:
    """Whether all frames are to be shown."""
    return os.environ.get(VARIABLE) == "full"


def hide_from_pytest(excinfo: Any) -> bool:
    """The value of `__tracebackhide__` in modules: whether pytest leaves out their frames for this error."""
    return not is_full() and hasattr(getattr(excinfo, "value", None), "_render_traceback_")


def render_traceback(error: BaseException) -> list[str]:
    """Return the lines that IPython shows for `error`: the user's frames and the message, without causes."""
    shell = importlib.import_module("IPython.core.getipython").get_ipython() if "IPython" in sys.modules else None
    trace = error.__traceback__ if is_full() else _users_frames(error.__traceback__)
    if shell is None:
        return traceback.format_exception(type(error), error, error.__traceback__)
    shown = error if is_full() else _without_causes(error)
    return shell.InteractiveTB.structured_traceback(type(error), shown, trace)


def _library_folders() -> tuple[str, ...]:
    """Return the folders of code that is not the user's: ours, the standard library and installed packages."""
    import sysconfig

    root = Path(__file__).parent.parent.parent
    own = (root / name for name in ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute"))
    installed = (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple(f"{folder}{os.sep}" for folder in (*own, *installed))


def _users_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that runs in the user's code; all of it if there is none."""
    others = (*_library_folders(), "<frozen")
    steps: list[TracebackType] = []
    step = trace
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(others):
            steps.append(step)
        step = step.tb_next
    rest: TracebackType | None = None
    for step in reversed(steps):
        rest = TracebackType(rest, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return rest or trace


def _without_causes(error: BaseException) -> BaseException:
    """Return a copy for display whose chain is empty; the error keeps its own."""
    shown = type(error).__new__(type(error))
    shown.args = error.args
    shown.__dict__.update(error.__dict__)
    shown.__suppress_context__ = True
    return shown
