"""Command line: the parser of `multiroute`, and what all commands share: errors, exit codes, Ctrl-C.

A command is a module with `add_command(commands)`. It sets `run`, a function of the parsed options that returns the
exit code, and imports what it needs when it runs: `multiroute --help` loads no SDK.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import multiroute_core
from multiroute_core.display.text import printable_lines
from multiroute_core.errors import MultiRouteError

EXAMPLES = """examples:
  multiroute check routes.toml
  multiroute ask "Why is the sky blue?" --routes routes.toml --stream
  multiroute report ledger.db --since 7d --html week.html
  multiroute watch redis://10.0.0.5/0
  multiroute serve routes.toml --port 8000
  multiroute import litellm.yaml > routes.toml

exit codes: 0 good; 1 a problem, which is named; 2 an argument cannot be used;
130 Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments after the program's name; None for the process's own.

    Returns:
        The exit code: that of the command, 2 if an argument cannot be used, or 130 after Ctrl-C.
    """
    try:
        _replace_closed_streams()
        options = build_parser().parse_args(arguments)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        code: int = options.run(options)
        sys.stdout.flush()  # a full disk or a closed pipe is noticed here, and not at exit
    except MultiRouteError as error:
        print(f"multiroute: {printable_lines(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    except BrokenPipeError:
        # The reader closed the pipe; at exit, Python would still try to write the rest.
        _discard_output()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        _discard_output()
        print(f"multiroute: the output cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _replace_closed_streams() -> None:
    """Write to nowhere where stdout or stderr is closed, as it may be in a service; Python has None there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def _discard_output() -> None:
    """Discard what Python would still try to write at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    # Imported here: Ctrl-C during the imports, which take most of the start, ends in `main` and not in a traceback.
    from multiroute_core.cli import ask, check, drill, explain, importing, report, tail, watch
    from multiroute_core.serving.command import add_commands as add_serving_commands

    parser = argparse.ArgumentParser(
        prog="multiroute",
        description="Checks routes, asks them, reports their calls, and serves them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"multiroute {multiroute_core.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (check, ask, explain, report, watch, tail, drill, importing):
        module.add_command(commands)
    add_serving_commands(commands)
    return parser
