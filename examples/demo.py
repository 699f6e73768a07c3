"""One router under a LangChain chain and a LlamaIndex query engine, in good weather and in bad.

It needs no key and no network: the three vendors are embedded servers that implement their APIs (see stage.py), and the
last resort is a real model on this machine. Where real keys are in the environment, the first scene asks the real
providers.
Exit code 0 means that every scene ended as it should.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from screen import Screen

if TYPE_CHECKING:
    from scenes import Scene


def main(scenes: Sequence[Scene] | None = None) -> int:
    """Play the scenes, all of them by default; the exit code."""
    logging.getLogger("multiroute_core").setLevel(logging.ERROR)  # the scenes show what its warnings would say
    began, screen = time.monotonic(), Screen()
    screen.say("MultiRoute: one router, a LangChain chain and a LlamaIndex query engine", "bold")
    with contextlib.ExitStack() as stack:
        # Two frameworks and three SDKs take seconds to import; the screen should not be empty meanwhile.
        with screen.wait("Importing the frameworks, starting the embedded providers"):
            from scenes import SCENES, Show, perform
            from stage import Stage

            show = Show(stack.enter_context(Stage()), screen)
            stack.enter_context(show.router)
        fine = perform(show, scenes or SCENES)
    good = sum(record.ok for record in screen.records)
    screen.say(
        f"{good} of {len(screen.records)} scenes ended as they should, in {time.monotonic() - began:.1f} s.",
        "bold green" if fine else "bold red",
    )
    return 0 if fine else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
