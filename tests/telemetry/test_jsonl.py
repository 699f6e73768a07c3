"""The ledger's records as lines of a file, and as what Parquet takes."""

import json
import logging
import os
import pickle
import stat
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import get_type_hints

import numpy
import pyarrow
import pytest
from pyarrow import parquet

from multiroute_core import Budget, ConfigurationError, Ledger, Record, Router, Usage
from multiroute_core.telemetry.jsonl import JSONLines
from multiroute_core.testing import Answer, Fail, scripted_route
from tests.telemetry.patience import Clock, eventually


class TenantName(StrEnum):
    ACME = "acme"


def record(number=1, **more):
    return Record(
        1_795_000_000.5, f"r{number}", "a", "openai", **{"model": "m", "outcome": "success", "seconds": 0.5} | more
    )


def told(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "calls.jsonl"


@pytest.fixture
def sink(path):
    sink = JSONLines(path)
    yield sink
    sink.close(0.0)


class TestLines:
    def test_one_for_each_record_in_order(self, sink, path):
        given = [record(number, tenant="ä\n\u2028", cost=None if number % 2 else 0.25) for number in range(3000)]
        for first in range(0, 3000, 100):
            sink(given[first : first + 100])
        assert sink.flush(30.0)
        lines = path.read_bytes().split(b"\n")
        assert len(lines) == 3001
        for line, expected in zip(lines, given, strict=False):
            assert json.loads(line) == json.loads(json.dumps(expected.to_dict()))
        assert (sink.pending, sink.dropped) == (0, 0)

    @pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
    def test_only_the_owner_may_read_it(self, sink, path):
        sink([record()])
        assert sink.flush(20.0)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_what_is_there_stays(self, path):
        path.parent.mkdir()
        path.write_text('{"mine": 1}\n')
        path.chmod(0o644)
        sink = JSONLines(path)
        sink([record()])
        sink.close()
        assert [line.get("request_id") for line in told(path)] == [None, "r1"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def test_a_line_that_somebody_did_not_end_spoils_no_other(self, path):
        path.parent.mkdir()
        path.write_text('{"mine": 1}\n{"cut he')
        sink = JSONLines(path)
        sink([record()])
        sink([record(2)])
        sink.close()
        assert path.read_text().splitlines()[1] == '{"cut he'
        assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()[2:]] == ["r1", "r2"]

    def test_the_file_may_be_moved_away(self, sink, path):
        sink([record(1)])
        assert sink.flush(20.0)
        path.rename(path.with_suffix(".1"))
        sink([record(2)])
        assert sink.flush(20.0)
        assert [told(p)[0]["request_id"] for p in (path.with_suffix(".1"), path)] == ["r1", "r2"]

    def test_a_directory_that_is_changed_into_later_does_not_matter(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        sink = JSONLines("calls.jsonl")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        sink([record()])
        sink.close()
        assert len(told(tmp_path / "calls.jsonl")) == 1

    def test_what_is_no_json_is_counted_and_the_rest_written(self, sink, path, caplog):
        sink([record(1), record(2, tenant="\ud800"), record(3)])
        assert sink.flush(20.0)
        assert [line["request_id"] for line in told(path)] == ["r1", "r3"]
        assert sink.dropped == 1
        eventually(lambda: "cannot be serialized as JSON" in caplog.text)

    def test_several_processes_write_whole_lines(self, path):
        sinks = [
            subprocess.Popen([sys.executable, "-c", PROCESS, str(path), str(number)], stderr=subprocess.PIPE)
            for number in range(4)
        ]
        for process in sinks:
            assert process.communicate(timeout=120)[1] == b""
        lines = told(path)
        assert len(lines) == 4 * 3000
        for number in range(4):
            mine = [line["request_id"] for line in lines if line["tenant"] == str(number)]
            assert mine == [f"r{i}" for i in range(3000)]


PROCESS = """
import sys
from multiroute_core import Record
from multiroute_core.telemetry.jsonl import JSONLines
sink = JSONLines(sys.argv[1], batch=7)
for i in range(3000):
    sink([Record(1.0, f"r{i}", "a" * (i % 300), "openai", "m", "success", 1.0, tenant=sys.argv[2])])
assert sink.flush(60)
"""


class TestTrouble:
    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
    def test_a_full_disk(self, tmp_path, caplog):
        caplog.set_level(logging.INFO, "multiroute_core")
        link = tmp_path / "calls.jsonl"
        link.symlink_to("/dev/full")
        sink = JSONLines(link, timing=Clock().timing, max_pending=20)
        for number in range(25):
            sink([record(number)])
        eventually(lambda: any("No space left" in message for message in caplog.messages))
        eventually(lambda: sink.dropped == 5)
        link.unlink()  # room again
        eventually(lambda: sink.pending == 0)
        kept = [line["request_id"] for line in told(link)]
        # What was just being written when the queue overflowed is not given up, but what followed it.
        in_writing = next(number for number, name in enumerate(kept) if name != f"r{number}")
        assert kept[in_writing:] == [f"r{number}" for number in range(5 + in_writing, 25)]
        eventually(lambda: "is available again" in caplog.messages[-1])
        assert (
            sorted(message.split(":")[0].split(" is unavailable")[0] for message in caplog.messages[:2])
            == [f"The file {str(link)!r}"] * 2
        )
        assert len(caplog.records) == 3
        sink.close()

    def test_a_batch_that_finds_no_room_is_taken_back_whole(self, path):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "File too large" in done.stderr
        before, after = map(int, done.stdout.split())
        assert before == 10
        assert after == 110
        assert [line["request_id"] for line in told(path)] == [f"r{i}" for i in range(110)]

    def test_who_is_taking_a_batch_back_is_waited_for(self, sink, path):
        fcntl = pytest.importorskip("fcntl", reason="there is no flock here")
        with path.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            sink([record()])
            assert not sink.flush(0.2)
            assert told(path) == []
        assert sink.flush(20.0)
        assert len(told(path)) == 1

    def test_a_directory_that_is_gone_is_made_again(self, sink, path):
        path.unlink()
        path.parent.rmdir()
        sink([record()])
        assert sink.flush(20.0)
        assert len(told(path)) == 1

    def test_a_place_that_is_taken_by_something_else_for_a_while(self, sink, path):
        path.unlink()
        path.mkdir()
        sink([record()])
        eventually(lambda: sink._queue.tries)
        path.rmdir()
        assert sink.flush(20.0)
        assert len(told(path)) == 1

    def test_who_writes_does_not_wait_for_a_file_that_hangs(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        sink = JSONLines(pipe)  # it has no reader yet, and opening it waits for one
        began = time.monotonic()
        for number in range(100):
            sink([record(number, tenant="x" * 10_000)])
        assert time.monotonic() - began < 10.0
        assert not sink.flush(0.1)
        assert sink.pending > 0
        pieces, is_over = [], threading.Event()
        reader = threading.Thread(target=drain, args=(pipe, pieces, is_over), daemon=True)
        reader.start()
        eventually(lambda: sink.pending == 0)
        sink.close()
        eventually(lambda: b"".join(pieces).count(b"\n") == 100)
        assert sink.dropped == 0
        is_over.set()
        reader.join(20)


def drain(pipe, pieces, is_over):
    """Read until `is_over`; without a writer a pipe is at its end, until the next one opens it."""
    with open(pipe, "rb") as file:
        while not is_over.is_set():
            if piece := file.read1(65536):
                pieces.append(piece)
            else:
                time.sleep(0.01)


LIMITED = """
import resource, sys
from multiroute_core import Record
from multiroute_core.telemetry.jsonl import JSONLines
record = lambda i: Record(1.0, f"r{i}", "a", "openai", "m", "success", 1.0)
sink = JSONLines(sys.argv[1])
sink([record(i) for i in range(10)])
assert sink.flush(60)
size = len(open(sys.argv[1], "rb").read())
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size * 5 + 17, hard))  # in the middle of a line
sink([record(i) for i in range(10, 110)])
assert not sink.flush(0.5)
print(open(sys.argv[1]).read().count("\\n"))
assert open(sys.argv[1]).read().endswith("\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert sink.flush(60)
print(open(sys.argv[1]).read().count("\\n"))
"""


class TestUse:
    @pytest.mark.parametrize("wrong", ["directory", "under a file"])
    def test_a_path_that_can_be_no_file_is_refused_at_once(self, tmp_path, wrong):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="cannot be written"):
            JSONLines(tmp_path if wrong == "directory" else tmp_path / "file" / "calls.jsonl")

    @pytest.mark.parametrize("name", ["https://acme.example/users", TenantName.ACME, numpy.str_("acme")], ids=type)
    def test_names_of_other_string_types_are_written(self, sink, path, name):
        ledger = Ledger(export=[sink])
        route = scripted_route(name, [Answer("Hi.")], prices={"input": 1, "output": 1})
        budget = Budget(usd=numpy.float64(1), per="day", scope="tenant", name=name)
        with Router([route], ledger=ledger, budget=budget) as router:
            router.generate("Hello", tenant=name, task=name, labels=[name])
        sink.flush()
        [line] = told(path)
        assert (line["route"], line["tenant"], line["task"], line["labels"]) == (str.__str__(name),) * 3 + (
            [str.__str__(name)],
        )

    def test_it_pickles_as_its_place(self, sink, path):
        again = pickle.loads(pickle.dumps(sink))
        again([record()])
        again.close()
        assert len(told(path)) == 1
        assert repr(again) == f"JSONLines({str(path)!r})"

    def test_the_end_of_the_program_writes_what_waits(self, path):
        code = PROCESS.replace("assert sink.flush(60)", "")
        subprocess.run([sys.executable, "-c", code, str(path), "x"], check=True, timeout=120)
        assert len(told(path)) == 3000


class TestParquet:
    """What `Ledger.to_dicts` gives fits into columns of one type each."""

    @pytest.fixture(params=["memory", "sqlite"])
    def dicts(self, request, tmp_path):
        ledger = Ledger("memory" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db")
        used = Answer("Hi", usage=Usage(10, 5))
        routes = [
            scripted_route("a", [Fail(), used, used], prices={"input": 1.0, "output": 2.0}),
            scripted_route("b", used),
        ]
        router = Router(routes, on_event=[ledger], cache="memory", max_retries=0)
        for question in ("one", "two", "two"):
            router.generate(question, tenant="t" if question == "two" else None, labels={"night", "batch"})
        list(router.stream("three"))
        yield ledger.to_dicts()
        ledger.close()

    def test_a_column_has_one_type(self, dicts):
        assert {d["outcome"] for d in dicts} == {"server_error", "success", "cached"}
        for name, hint in get_type_hints(Record).items():
            found = {type(d[name]).__name__.replace("list", "tuple") for d in dicts} - {"NoneType"}
            assert len(found) <= 1, name
            for kind in found:
                assert kind in str(hint), name

    def test_written_and_read_again_it_is_the_same(self, dicts, tmp_path):
        table = pyarrow.Table.from_pylist(dicts)
        assert table.column_names == [field.name for field in fields(Record)]
        parquet.write_table(table, tmp_path / "calls.parquet")
        again = parquet.read_table(tmp_path / "calls.parquet").to_pylist()
        assert again == json.loads(json.dumps(dicts))
        kinds = {field.name: str(field.type) for field in table.schema}
        assert (kinds["ended_at"], kinds["cost"], kinds["input_tokens"], kinds["stream"], kinds["model"]) == (
            "double",
            "double",
            "int64",
            "bool",
            "string",
        )

    def test_a_day_without_a_value_fits_to_one_with(self, dicts, tmp_path):
        """A column that is empty has no type of its own; with the schema of another file it has."""
        schema = pyarrow.Table.from_pylist(dicts).schema
        empty = replace(record(), tenant=None)
        table = pyarrow.Table.from_pylist([empty.to_dict()], schema=schema)
        both = pyarrow.concat_tables([pyarrow.Table.from_pylist(dicts), table])
        assert both.num_rows == len(dicts) + 1
