"""The command line, as its own process: on a file that others write, on Redis, and on what is no ledger."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
import tomllib
from pathlib import Path

import pytest

import multiroute_core
from multiroute_core import AuthenticationError, Router
from multiroute_core.cli import main as cli
from multiroute_core.cli.keyboard import reading_keys
from multiroute_core.ledger.sqlite_file import APPLICATION, VERSION
from multiroute_core.testing import Answer, Fail, scripted_route
from tests.cli.runs import run
from tests.redis_servers import running
from tests.report.conftest import NOON, failure, record

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60


def process(*arguments, columns=100, **variables):
    """The command line as a process of its own."""
    env = {**os.environ, "COLUMNS": str(columns), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "multiroute_core.cli", *map(str, arguments)],
        env=env | variables,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


def refused(*arguments, how=run):
    done = how(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("multiroute: ")
    return done.stderr


class TestReport:
    @pytest.mark.slow
    def test_prints_what_a_path_or_a_url_names(self, ledger):
        path = ledger(*(record(n, cost=1.5) for n in range(4)), failure(9))
        for place in (path, f"sqlite:///{path}"):
            done = process("report", place)
            assert (done.returncode, done.stderr) == (0, "")
            assert re.search(r"Spent +\$6.00", done.stdout)
            assert "timeout" in done.stdout

    @pytest.mark.parametrize("columns", [40, 52, 60, 80])
    def test_a_narrow_terminal_loses_columns_and_no_names(self, ledger, columns):
        long = "anthropic:claude-sonnet-5-5-in-the-office"
        path = ledger(record(1, route="openai:gpt"), record(2, route=long), failure(3, route=long))
        lines = run("report", path, columns=columns).stdout.splitlines()
        assert max(map(len, lines)) <= columns
        start = lines.index(next(line for line in lines if line.startswith("By route")))
        table = lines[start : start + 10]
        heads = next(line for line in table if "cost" in line)
        assert "…" not in "".join(table)
        width = heads.index("cost") - 1  # the first column is that of the names, and numbers are on the right
        names = "".join(line[:width].split("  ")[0].strip() for line in table[4:])
        assert long in names
        assert "openai:gpt" in names

    def test_writes_the_page(self, ledger, tmp_path):
        page = tmp_path / "page.html"
        done = run("report", ledger(record()), "--html", page)
        assert (done.returncode, done.stdout) == (0, f"Written: {page}\n")
        assert "gpt-5-mini" in page.read_text(encoding="utf-8").replace("<wbr/>", "")

    def test_chooses_by_time(self, ledger):
        now = time.time()
        path = ledger(record(0, ended_at=NOON), record(1, ended_at=NOON + 86400), record(2, ended_at=now - 30))

        def requests(*options):
            return int(re.search(r"Requests +(\d+)|No records", run("report", path, *options).stdout)[1] or 0)

        assert requests() == 3
        assert requests("--since", "1m") == 1
        assert requests("--since", "2026-11-19") == 2
        assert requests("--since", "2026-11-18", "--until", "2026-11-19") == 1
        assert requests("--until", "2026-11-18") == 0

    @pytest.mark.slow
    def test_reads_while_others_write_and_leaves_no_trace(self, ledger):
        path = ledger(record())
        writer = sqlite3.connect(path)
        with writer:
            writer.execute("BEGIN IMMEDIATE")  # in the middle of a transaction
            done = process("report", path)
        writer.close()
        assert done.returncode == 0, done.stderr
        assert re.search(r"Requests +1 ", done.stdout)
        assert sorted(each.name for each in path.parent.iterdir()) == ["ledger.db"]

    def test_reads_what_may_not_be_written(self, ledger):
        path = ledger(record())
        before = path.read_bytes()
        path.chmod(0o400)
        assert run("report", path).returncode == 0
        assert path.read_bytes() == before

    def test_an_older_version_is_refused_and_left_as_it_is(self, tmp_path):
        path = tmp_path / "old.db"
        db = sqlite3.connect(path)
        columns = (
            "at REAL, request_id TEXT, route TEXT, provider TEXT, model TEXT, outcome TEXT, seconds REAL, "
            "first_token_seconds REAL, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, "
            "cache_write_tokens INTEGER, reasoning_tokens INTEGER, cost REAL, estimated INTEGER, saved_cost REAL, "
            "stream INTEGER, tenant TEXT, task TEXT"
        )
        db.execute(f"CREATE TABLE records (id INTEGER PRIMARY KEY, {columns})")
        db.execute("INSERT INTO records (at, request_id, route, provider, model, outcome, seconds, cost, estimated, stream) "
                   f"VALUES ({NOON}, 'r', 'a', 'b', 'old-model', 'success', 1.0, 2.5, 0, 1)")  # fmt: skip
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
        db.close()
        before = path.read_bytes()
        done = run("report", path)
        assert "has schema version 1; reports support version 5: open it once with a Router" in done.stderr
        assert path.read_bytes() == before

    def test_an_empty_ledger(self, ledger):
        done = run("report", ledger())
        assert done.returncode == 0
        assert "no records of this period" in done.stdout

    @pytest.mark.slow
    def test_ends_quietly_where_nobody_reads_on(self, ledger):
        path = ledger(*(record(n, model=f"m{n}") for n in range(50)))
        command = f"{sys.executable} -m multiroute_core.cli report {path} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode in (0, 1)  # 1 is rich's
        assert done.stderr == ""

    @pytest.mark.slow
    def test_a_terminal_that_knows_ascii_only(self, ledger):
        done = process("report", ledger(record(tenant="שירות")), PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr


class TestBadInput:
    @pytest.mark.slow
    def test_no_such_file_and_none_is_made(self, tmp_path):
        for command in (("report",), ("watch", "--once")):
            assert "does not exist" in refused(*command, tmp_path / "none.db", how=process)
            assert "does not exist" in refused(*command, f"sqlite:///{tmp_path}/none.db")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder(self, tmp_path):
        assert "is a folder" in refused("report", tmp_path)

    def test_what_is_no_ledger(self, tmp_path):
        text, empty, other = tmp_path / "a.txt", tmp_path / "empty", tmp_path / "other.db"
        text.write_text("Not a database, but long enough to be looked at." * 20)
        empty.touch()
        db = sqlite3.connect(other)
        db.execute("CREATE TABLE records (id INTEGER)")
        db.close()
        for path in (text, empty, other):
            before = path.read_bytes()
            assert "is not a MultiRoute ledger" in refused("report", path)
            assert path.read_bytes() == before

    def test_a_newer_form(self, ledger):
        path = ledger(record())
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
        db.close()
        assert f"has schema version {VERSION + 1}" in refused("report", path)

    def test_a_torn_file(self, ledger):
        path = ledger(*(record(n) for n in range(500)))
        torn = path.read_bytes()
        path.write_bytes(torn[:4096] + os.urandom(len(torn) - 4096))
        assert re.search("cannot be read|is not a MultiRoute ledger", refused("report", path))

    def test_moments(self, ledger):
        path = ledger(record())
        assert "--since='tomorrow' is not a valid time" in refused("report", path, "--since", "tomorrow")
        assert "is later than" in refused("report", path, "--since", "2026-12-01", "--until", "2026-11-01")

    def test_the_page(self, ledger, tmp_path):
        path = ledger(record())
        assert "No such file" in refused("report", path, "--html", tmp_path / "no" / "where.html")
        assert "--open requires --html" in refused("report", path, "--open")

    def test_redis_away_and_its_password_is_not_told(self):
        said = refused("report", "redis://:geheim@127.0.0.1:1/0")
        assert "geheim" not in said

    def test_the_command_line_itself(self, ledger):
        for arguments in (
            (),
            ("reprot",),
            ("report",),
            ("watch", "x.db", "--minutes", "0"),
            ("watch", "x", "--minutes", "x"),
        ):
            done = run(*arguments)
            assert done.returncode == 2
            assert "usage: multiroute" in done.stderr

    def test_version(self):
        done = run("--version")
        assert (done.returncode, done.stdout) == (0, f"multiroute {multiroute_core.__version__}\n")

    def test_help(self):
        commands = "check ask explain report watch tail drill import serve key".split()
        for arguments in (("--help",), *((command, "--help") for command in commands)):
            done = run(*arguments, columns=80)
            assert done.returncode == 0
            assert max(map(len, done.stdout.splitlines())) <= 80


class TestWatch:
    @pytest.mark.slow
    def test_one_frame_of_the_last_minutes(self, ledger):
        now = time.time()
        lately = [record(n, ended_at=now - 5 - n, cost=0.5, tenant="t") for n in range(6)]
        errors = [failure(10 + n, ended_at=now - 20 - n, route="google:gemini") for n in range(8)]
        path = ledger(*lately, *errors, record(99, ended_at=now - 7200, route="old"))
        done = process("watch", path, "--once", "--minutes", "30")
        assert (done.returncode, done.stderr) == (0, "")
        assert "14 requests, 8 failed" in done.stdout
        assert "$6.00 per hour ($3.00 spent" in done.stdout
        assert re.search(r"google:gemini +8 failures in a row +8 +8 +100 %", done.stdout)
        assert done.stdout.count("timeout") == 5
        assert "old" not in done.stdout

    def test_a_terminal_that_cannot_be_cleared_gets_one_frame(self, ledger, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the output for a terminal
        monkeypatch.setattr("multiroute_core.cli.watch.reading_keys", None)
        done = run("watch", ledger(record(1, ended_at=time.time() - 5, tenant="shop")))
        assert done.returncode == 0
        assert "shop" in done.stdout

    def test_tenants_and_routes_that_fail(self, ledger):
        now = time.time()
        path = ledger(
            *(record(n, ended_at=now - 30 + n, tenant="shop" if n % 2 else "lab", cost=0.5) for n in range(6)),
            *(failure(10 + n, ended_at=now - 9 + n, route="google:gemini", tenant="shop") for n in range(3)),
            failure(20, ended_at=now - 40, outcome="cancelled"),
        )
        out = run("watch", path, "--once").stdout
        assert re.search(r"google:gemini +3 failures in a row", out)
        assert re.search(r"openai:gpt-5-mini +answers", out)
        assert re.search(r"shop +6 +3 +\$1.50", out)

    def test_names_are_whole_on_a_narrow_terminal(self, ledger):
        now = time.time()
        names = [f"provider:a-model-with-a-long-name-{n}" for n in range(3)]
        path = ledger(*(failure(n, ended_at=now - 5, route=name) for n, name in enumerate(names)))
        for columns in (45, 60, 100):
            out = run("watch", path, "--once", columns=columns).stdout
            routes = out.split("Routes")[1].split("Last errors")[0]
            assert all(name in routes.split() for name in names), columns

    def test_breakers_need_a_state_that_others_can_see(self, ledger, tmp_path):
        (tmp_path / "routes.toml").write_text('routes = ["groq:a"]\n')
        said = refused("watch", ledger(), "--once", "--routes", tmp_path / "routes.toml")
        assert "no state on Redis" in said

    def test_an_empty_ledger(self, ledger):
        assert "0 requests" in run("watch", ledger(), "--once").stdout

    def test_where_no_terminal_is_it_prints_once(self, ledger):
        assert "0 requests" in run("watch", ledger()).stdout

    @pytest.mark.slow
    def test_follows_a_router_in_another_process_until_ctrl_c(self, tmp_path):
        url = f"sqlite:///{tmp_path}/ledger.db"
        routes = [
            scripted_route(
                "first", lambda asked: Fail() if asked.number % 2 else Answer("Hi."), prices={"input": 1, "output": 1}
            ),
            scripted_route("second", Answer("Hello.")),
        ]
        router = Router(routes, ledger=url)
        router.generate("Hello")
        router.ledger.flush()
        screen, child = terminal(sys.executable, "-m", "multiroute_core.cli", "watch", f"{tmp_path}/ledger.db")
        try:
            screen.waits_for("1 request,")
            for _ in range(4):
                router.generate("Hello")
            router.ledger.flush()
            screen.waits_for("5 requests,")
            screen.waits_for("server error")
        finally:
            child.send_signal(signal.SIGINT)
            code = child.wait(20)
            router.ledger.close()
        screen.waits_for("\x1b[?1049l")  # the terminal is as it was before
        assert code == 0
        assert "Traceback" not in screen.text

    @pytest.mark.slow
    def test_q_stops_it(self, ledger):
        path = ledger(record(ended_at=time.time() - 5))
        screen, child = terminal(sys.executable, "-m", "multiroute_core.cli", "watch", path)
        before = termios.tcgetattr(screen.file)
        screen.waits_for("1 request,")
        os.write(screen.file, b"x")
        os.write(screen.file, b"q")
        assert child.wait(20) == 0
        screen.waits_for("\x1b[?1049l")
        assert termios.tcgetattr(screen.file) == before

    @pytest.mark.slow
    def test_sigterm_restores_the_terminal(self, ledger):
        path = ledger(record(ended_at=time.time() - 5))
        screen, child = terminal(sys.executable, "-m", "multiroute_core.cli", "watch", path)
        before = termios.tcgetattr(screen.file)
        screen.waits_for("1 request,")
        child.send_signal(signal.SIGTERM)  # as `timeout 60 multiroute watch …` does
        assert child.wait(20) == 128 + signal.SIGTERM
        screen.waits_for("\x1b[?1049l")
        screen.waits_for("\x1b[?25h")  # the cursor
        assert termios.tcgetattr(screen.file) == before

    def test_keys_of_a_closed_stdin_are_no_failure(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", None)
        with reading_keys("q") as pause:
            assert pause(0.0) is False


class Screen:
    """What a program writes on its terminal."""

    def __init__(self, file):
        self.file, self.text = file, ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                piece = os.read(self.file, 65536)
            except OSError:  # Linux says so when the other end is closed
                return
            self.text += piece.decode(errors="replace")

    def waits_for(self, words):
        until = time.monotonic() + 30
        plain = ""
        while time.monotonic() < until:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", self.text)
            if words in plain or words in self.text:
                return
            time.sleep(0.05)
        raise AssertionError(f"{words!r} did not come: {plain[-2000:]}")


def terminal(*command):
    """A program on a terminal of its own."""
    ours, its = os.openpty()
    env = {**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=env, start_new_session=True)
    os.close(its)
    return Screen(ours), child


@pytest.mark.redis
def test_breakers_of_a_fleet(tmp_path):
    with running() as server:
        url = f"{server.url}/0"
        routes = [scripted_route("bad", Fail(AuthenticationError)), scripted_route("good", Answer("Hi."))]
        with Router(routes, state=url, ledger=url) as router:
            router.generate("Hello")
            router.ledger.flush()
            tables = "".join(f'[[routes]]\nroute = "groq:a"\nname = "{name}"\n' for name in ("bad", "good"))
            (tmp_path / "routes.toml").write_text(f'state = "{url}"\n{tables}')
            done = run("watch", url, "--once", "--routes", tmp_path / "routes.toml", columns=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"bad +open for \d", done.stdout)
        assert re.search(r"good +closed", done.stdout)


@pytest.mark.redis
def test_a_ledger_on_redis():
    with running() as server:
        url = f"{server.url}/0"
        router = Router([scripted_route("a", Answer("Hi."), prices={"input": 1e6, "output": 0})], ledger=url)
        router.generate("Hello")
        router.ledger.flush()
        try:
            for command in (("report", url), ("watch", url, "--once")):
                done = run(*command)
                assert done.returncode == 0, done.stderr
                assert "$2.00" in done.stdout
        finally:
            router.ledger.close()


def test_the_program_is_installed_under_its_name():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["scripts"]["multiroute"] == "multiroute_core.cli.main:main"
    assert callable(cli.main)
