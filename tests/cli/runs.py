"""Runs the command line in this process, which saves half a second."""

import contextlib
import io
import subprocess

import pytest

from multiroute_core.cli.main import main


def run(*arguments, columns=100):
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("COLUMNS", str(columns))
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:
            assert end.code is None or isinstance(end.code, int), end.code
            code = end.code or 0
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
