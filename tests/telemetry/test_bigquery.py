"""The ledger's records in BigQuery: Google's own client, against a server that speaks BigQuery's REST."""

import logging
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from datetime import datetime

import pytest

from multiroute_core import ConfigurationError, Record
from multiroute_core.telemetry.bigquery import BigQuery
from tests.telemetry.bigquery_server import Answered, BigQueryServer, client_of
from tests.telemetry.patience import Clock, eventually

TABLE = "p.d.calls"
BUSY = Answered(503, "backendError")


def record(number=1, **more):
    given = {"model": "gpt-4.1", "outcome": "success", "seconds": 0.5, "input_tokens": 5, "cost": 0.25} | more
    return Record(1_795_000_000.5 + number, f"r{number}", "a", "openai", **given)


@dataclass(frozen=True, slots=True)
class Newer(Record):
    """A record of a later version.

    Attributes:
        shade: What colour
            it has.
        sizes: How large.
    """

    shade: str | None = None
    sizes: tuple[int, ...] = ()


@pytest.fixture
def server():
    with BigQueryServer() as server:
        yield server


@pytest.fixture
def sink(server):
    with server.client() as client:
        sink = BigQuery(TABLE, client=client, timing=Clock().timing)
        yield sink
        sink.close(0.0)


def ids(server):
    return [row["request_id"] for row in server.rows[TABLE]]


class TestTable:
    def test_it_is_made_as_the_records_are(self, server, sink):
        sink([record()])
        assert sink.flush(20.0)
        made = server.tables[TABLE]
        kinds = {column["name"]: (column["type"], column["mode"]) for column in made["schema"]["fields"]}
        assert list(kinds) == [field.name for field in fields(Record)]
        assert kinds["ended_at"] == ("TIMESTAMP", "NULLABLE")
        assert kinds["request_id"] == ("STRING", "NULLABLE")
        assert kinds["seconds"] == kinds["cost"] == ("FLOAT", "NULLABLE")
        assert kinds["input_tokens"] == ("INTEGER", "NULLABLE")
        assert kinds["stream"] == ("BOOLEAN", "NULLABLE")
        assert made["timePartitioning"] == {"type": "DAY", "field": "ended_at"}
        assert made["clustering"] == {"fields": ["tenant", "model"]}
        for column in made["schema"]["fields"]:
            assert len(column["description"]) > 5, column["name"]

    def test_a_row_holds_what_the_record_does(self, server, sink):
        given = record(tenant="ä", cost=None, stream=True, first_token_seconds=float("nan"))
        sink([given])
        assert sink.flush(20.0)
        (row,) = server.rows[TABLE]
        assert set(row) == {field.name for field in fields(Record)}
        assert datetime.fromisoformat(row.pop("ended_at")).timestamp() == given.ended_at
        assert row.pop("first_token_seconds") is None
        for name, value in row.items():
            expected = getattr(given, name)
            assert value == (list(expected) if isinstance(expected, tuple) else expected), name

    def test_columns_that_are_missing_are_added_and_others_left_alone(self, server, sink):
        own = {"name": "remark", "type": "STRING", "mode": "NULLABLE"}
        old = [{"name": "ENDED_AT", "type": "TIMESTAMP", "mode": "NULLABLE"}, own]
        server._create(
            TABLE,
            {
                "tableReference": dict(zip(["projectId", "datasetId", "tableId"], TABLE.split("."))),
                "schema": {"fields": old},
            },
        )
        sink([record()])
        assert sink.flush(20.0)
        names = [column["name"] for column in server.tables[TABLE]["schema"]["fields"]]
        assert names == ["ENDED_AT", "remark", *(field.name for field in fields(Record) if field.name != "ended_at")]
        assert server.tables[TABLE]["schema"]["fields"][1] == own
        assert ids(server) == ["r1"]

    def test_a_new_field_of_the_record_is_a_new_column(self, server, sink):
        sink([record()])
        assert sink.flush(20.0)
        with server.client() as client:
            newer = BigQuery(TABLE, client=client)
            newer([Newer(1.0, "r2", "a", "openai", "m", "success", 1.0, shade="blue", sizes=(1, 2))])
            assert newer.flush(20.0)
            newer.close()
        sink([record(3)])  # and the older version goes on
        assert sink.flush(20.0)
        shade, sizes = server.tables[TABLE]["schema"]["fields"][-2:]
        assert (shade["name"], shade["mode"], shade["description"]) == ("shade", "NULLABLE", "What colour it has.")
        assert (sizes["name"], sizes["type"], sizes["mode"]) == ("sizes", "INTEGER", "REPEATED")
        assert [row.get("shade") for row in server.rows[TABLE]] == [None, "blue", None]
        assert server.rows[TABLE][1]["sizes"] == [1, 2]

    def test_the_table_as_it_is_now_is_not_asked_for_again(self, server, sink):
        for number in range(5):
            sink([record(number)])
            assert sink.flush(20.0)
        assert [method for method, *_ in server.log] == ["GET", "POST", *["POST"] * 5]

    def test_two_that_make_it_at_once_both_write(self, server, sink):
        with server.client() as client:
            other = BigQuery(TABLE, client=client)
            other([record(0)])
            assert other.flush(20.0)
            other.close()
        server.log.clear()
        server.trouble = [Answered(404, "notFound")]  # as it was a moment before
        sink([record()])
        assert sink.flush(20.0)
        assert [method for method, *_ in server.log] == ["GET", "POST", "GET", "POST"]
        assert ids(server) == ["r0", "r1"]

    def test_without_create_the_table_stays_as_it_is(self, server, caplog):
        with server.client() as client:
            sink = BigQuery(TABLE, client=client, create=False, timing=Clock().timing)
            sink([record()])
            eventually(lambda: "create it" in caplog.text)
            assert server.tables == {}
            columns = [{"name": "request_id", "type": "STRING"}, {"name": "cost", "type": "FLOAT"}]
            server._create(
                TABLE,
                {
                    "tableReference": dict(zip(["projectId", "datasetId", "tableId"], TABLE.split("."))),
                    "schema": {"fields": columns},
                },
            )
            assert sink.flush(20.0)
            sink.close()
        assert server.rows[TABLE] == [{"request_id": "r1", "cost": 0.25}]
        assert {method for method, path, _ in server.log if not path.endswith("insertAll")} == {"GET"}


class TestTrouble:
    @pytest.mark.parametrize(
        "trouble",
        [BUSY, Answered(500, "internalError"), Answered(403, "quotaExceeded"), Answered(429, "rateLimitExceeded")],
        ids=lambda t: t.reason,
    )
    def test_refusing_then_accepting(self, server, sink, trouble, caplog):
        caplog.set_level(logging.INFO, "multiroute_core")
        server.trouble = [trouble] * 4 + [None, trouble, None, None, trouble]
        sink([record(number) for number in range(5)])
        sink([record(number) for number in range(5, 8)])
        eventually(lambda: sink.pending == 0)
        assert ids(server) == [f"r{number}" for number in range(8)]
        assert sink.dropped == 0
        eventually(lambda: len(caplog.records) == 2)
        assert f"HTTP {trouble.status} ({trouble.reason})" in caplog.messages[0]
        assert "is available again" in caplog.messages[1]

    def test_an_unreachable_server_and_a_dataset_that_is_made_later(self, caplog):
        with BigQueryServer(datasets=()) as server:
            url = server.url
        client = client_of(url)
        sink = BigQuery(TABLE, client=client, timing=Clock().timing)
        sink([record()])
        eventually(lambda: "no connection" in caplog.text)
        sink.close(0.0)
        client.close()
        with BigQueryServer(datasets=()) as server, server.client() as client:
            sink = BigQuery(TABLE, client=client, timing=Clock().timing)
            sink([record()])
            eventually(lambda: "the dataset may not exist; create it" in caplog.text)
            server.datasets.add("p.d")
            assert sink.flush(20.0)
            assert ids(server) == ["r1"]
            sink.close()

    def test_rows_that_are_refused_are_counted_and_the_others_land(self, server, sink, caplog):
        odd = {"reason": "invalid", "location": "model", "message": "hush: what it holds"}
        server.rejects = lambda row: odd if int(row["request_id"][1:]) % 2 else None
        for first in range(0, 40, 10):
            sink([record(number) for number in range(first, first + 10)])
        assert sink.flush(20.0)
        assert ids(server) == [f"r{number}" for number in range(0, 40, 2)]
        assert sink.dropped == 20
        eventually(lambda: caplog.messages)
        (line,) = caplog.messages
        assert "BigQuery rejected them as invalid at model" in line
        assert "hush" not in line

    def test_rows_that_are_not_taken_yet_are_sent_again(self, server, sink):
        slow = {"reason": "timeout", "location": "", "message": ""}
        seen = []
        server.rejects = lambda row: None if row["request_id"] in seen or seen.append(row["request_id"]) else slow
        sink([record(number) for number in range(4)])
        eventually(lambda: sink.pending == 0)
        assert sorted(ids(server)) == ["r0", "r1", "r2", "r3"]
        assert sink.dropped == 0

    def test_a_new_column_that_bigquery_does_not_know_yet_is_waited_for(self, server, sink):
        sink([record(0)])
        assert sink.flush(20.0)
        server.blind = {"cost": 3}
        sink([record(number) for number in range(1, 4)])
        eventually(lambda: sink.pending == 0)
        assert ids(server) == ["r0", "r1", "r2", "r3"]
        assert sink.dropped == 0

    def test_a_table_that_was_dropped_is_made_again(self, server, sink):
        sink([record(1)])
        assert sink.flush(20.0)
        server.tables.clear()
        sink([record(2)])
        eventually(lambda: sink.pending == 0)
        assert ids(server) == ["r2"]

    def test_nothing_is_there_twice(self, server, sink):
        before = server._insert

        def lost(name, said):  # the rows land, and the answer does not arrive
            before(name, said)
            server._insert = before
            raise BUSY

        server._insert = lost
        rows = [record(number) for number in range(10)]
        sink(rows)
        eventually(lambda: sink.pending == 0)
        with server.client() as client:
            other = BigQuery(TABLE, client=client)  # or another process, that sends the same
            other(rows)
            other([replace(rows[0], route="b")])
            assert other.flush(20.0)
            other.close()
        assert len(server.rows[TABLE]) == 11
        assert sum(path.endswith("insertAll") for _, path, _ in server.log) >= 3

    def test_what_is_too_large_goes_in_pieces(self, server, sink):
        long = "m" * 100_000
        sink([record(number, model=long) for number in range(50)])
        sink([record(50, model=long * 30), record(51)])
        assert sink.flush(30.0)
        assert ids(server) == [f"r{number}" for number in range(50)] + ["r51"]
        assert sink.dropped == 1

    def test_who_writes_does_not_wait_and_sees_no_error(self, server):
        client = client_of("http://127.0.0.1:1")
        sink = BigQuery(TABLE, client=client, max_pending=100)
        began = time.monotonic()
        for number in range(1000):
            sink([record(number)])
        assert time.monotonic() - began < 10.0
        assert (sink.pending, sink.dropped) == (100, 900)
        sink.close(0.0)
        client.close()


PROGRAM = """
import sys
from multiroute_core import Record
from multiroute_core.telemetry.bigquery import BigQuery
from tests.telemetry.bigquery_server import client_of
sink = BigQuery("p.d.calls", client=client_of(sys.argv[1]))
sink([Record(1.0, f"r{n}", "a", "openai", "m", "success", 1.0) for n in range(1200)])
"""

FORK = (
    PROGRAM
    + """
import os
assert sink.flush(30)
child = os.fork()
sink([Record(2.0, f"{'child' if child == 0 else 'parent'}{n}", "a", "openai", "m", "success", 1.0) for n in range(9)])
assert sink.flush(30)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
)


@pytest.mark.slow
class TestProcesses:
    def test_the_end_of_the_program_sends_what_waits(self, server):
        run(PROGRAM, server.url)
        assert len(server.rows[TABLE]) == 1200
        assert {len(said["rows"]) for _, path, said in server.log if path.endswith("insertAll")} == {500, 200}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_fork_has_a_connection_of_its_own(self, server):
        run(FORK, server.url)
        assert sorted(ids(server)[1200:]) == sorted(f"{who}{n}" for who in ("child", "parent") for n in range(9))


def run(code, url):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, url], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


class TestUse:
    @pytest.mark.parametrize("table", ["calls", "d.calls", "p.d.t.x.y", "p.d.t ", "p.d.t/x", "", None, 5])
    def test_what_names_no_table_is_refused(self, table):
        with pytest.raises(ConfigurationError, match="is not a valid table"):
            BigQuery(table, client=object())

    def test_without_credentials_it_says_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(ConfigurationError, match="gcloud auth application-default login"):
            BigQuery(TABLE)

    def test_without_the_package_it_names_the_extra(self):
        code = """
import sys
sys.modules["google.cloud.bigquery"] = None
from multiroute_core import ConfigurationError
from multiroute_core.telemetry.bigquery import BigQuery
try:
    BigQuery("p.d.t")
except ConfigurationError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert "pip install 'multiroute-llm[bigquery]'" in done.stdout

    def test_its_module_loads_no_client(self):
        code = "import sys, multiroute_core.telemetry.bigquery; print(any(name.startswith('google.') and 'cloud' in name for name in sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.strip() == "False"

    def test_it_pickles_without_its_client(self, server, sink, monkeypatch, tmp_path):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(ConfigurationError, match="no credentials"):  # it looks for its own
            pickle.loads(pickle.dumps(sink))
        assert repr(sink) == "BigQuery('p.d.calls')"
