"""A small server that speaks so much of BigQuery's REST as a sink needs: tables.get, insert, patch, tabledata.insertAll."""

import contextlib
import json
import re
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

TABLES = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables(?:/([^/]+?))?(/insertAll)?")
LIMIT = 2_000_000
"""Bytes of a body that are taken; the real one takes ten million."""


class Answered(Exception):
    """An error that is the answer."""

    def __init__(self, status, reason, message="No."):
        self.status, self.reason, self.message = status, reason, message


class BigQueryServer:
    """Datasets, tables and their rows, while its `with` block runs.

    Attributes:
        tables: The tables' resources, by `project.dataset.table`; and their rows in `rows`.
        trouble: What the next requests are answered with, if anything: `Answered`, or None for as usual.
        rejects: Says of a row what is wrong with it, as one of insertAll's errors, or None.
        log: What came in: method, path, body.
    """

    def __init__(self, datasets=("p.d",)):
        self.datasets, self.tables, self.rows = set(datasets), {}, {}
        self.trouble, self.rejects, self.log = [], lambda row: None, []
        self.blind = {}
        self._ids, self._etag, self._lock = set(), 0, threading.Lock()

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = urlsplit(self.path).path
                try:
                    with outer._lock:
                        status, answer = 200, outer.answer(self.command, path, body, self.headers)
                except Answered as error:
                    details = {"reason": error.reason, "message": error.message, "domain": "global"}
                    status = error.status
                    answer = {"error": {"code": status, "message": error.message, "errors": [details]}}
                sent = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_POST = do_PATCH = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def client(self):
        """Google's own client, pointed here."""
        client = client_of(self.url)
        yield client
        client.close()

    def answer(self, method, path, body, headers):
        said = json.loads(body) if body else None
        self.log.append((method, path.partition("/datasets/")[2], said))
        if self.trouble and (trouble := self.trouble.pop(0)) is not None:
            raise trouble
        project, dataset, table, insert = TABLES.fullmatch(path).groups()
        if f"{project}.{dataset}" not in self.datasets:
            raise Answered(404, "notFound", f"Not found: Dataset {project}:{dataset}")
        if method == "POST" and table is None:
            return self._create(f"{project}.{dataset}.{said['tableReference']['tableId']}", said)
        name = f"{project}.{dataset}.{table}"
        if name not in self.tables:
            raise Answered(404, "notFound", f"Not found: Table {name}")
        if method == "GET":
            return self.tables[name]
        if method == "PATCH":
            return self._patch(name, said, headers.get("if-match"))
        assert insert
        if len(body) > LIMIT:
            raise Answered(413, "invalid", "Request payload size exceeds the limit")
        return self._insert(name, said)

    def _create(self, name, said):
        if name in self.tables:
            raise Answered(409, "duplicate", f"Already Exists: Table {name}")
        self.tables[name], self.rows[name] = self._stamped(said), []
        return self.tables[name]

    def _stamped(self, table):
        self._etag += 1
        return {**table, "etag": f"e{self._etag}"}

    def _patch(self, name, said, etag):
        table = self.tables[name]
        if etag is not None and etag != table["etag"]:
            raise Answered(412, "conditionNotMet", "Precondition check failed.")
        known = {column["name"].lower(): column for column in table["schema"]["fields"]}
        wanted = {column["name"].lower(): column for column in said["schema"]["fields"]}
        for small, column in known.items():
            if small not in wanted or wanted[small]["type"] != column["type"]:
                raise Answered(400, "invalid", f"Provided Schema does not match Table: {column['name']} is missing")
        for small, column in wanted.items():
            if small not in known and column.get("mode") == "REQUIRED":
                raise Answered(400, "invalid", "Cannot add required fields to an existing schema.")
        self.tables[name] = self._stamped({**table, **said})
        return self.tables[name]

    def _insert(self, name, said):
        columns = {column["name"].lower(): column for column in self.tables[name]["schema"]["fields"]}
        for small, times in list(self.blind.items()):  # a new column is known to the stream only after a while
            columns.pop(small)
            self.blind[small] = times - 1
            if times == 1:
                del self.blind[small]
        wrong = {number: self._wrong(row["json"], columns) for number, row in enumerate(said["rows"])}
        wrong = {number: error for number, error in wrong.items() if error is not None}
        all_or_none = wrong and not said.get("skipInvalidRows")
        for number, row in enumerate(said["rows"]):
            if all_or_none:
                wrong.setdefault(number, {"reason": "stopped", "location": "", "message": ""})
            elif number not in wrong and (row.get("insertId") is None or row["insertId"] not in self._ids):
                self._ids.add(row["insertId"])
                self.rows[name].append(row["json"])
        errors = [{"index": number, "errors": [error]} for number, error in sorted(wrong.items())]
        return {"kind": "bigquery#tableDataInsertAllResponse", **({"insertErrors": errors} if errors else {})}

    def _wrong(self, row, columns):
        for name, value in row.items():
            column = columns.get(name.lower())
            if column is None:
                return {"reason": "invalid", "location": name, "message": f"no such field: {name}."}
            many = value if column.get("mode") == "REPEATED" else [value]
            if not isinstance(many, list) or not all(fits(column["type"], each) for each in many):
                return {"reason": "invalid", "location": name, "message": f"Cannot convert value {value!r}"}
        for column in columns.values():
            if column.get("mode") == "REQUIRED" and row.get(column["name"]) is None:
                return {"reason": "invalid", "location": column["name"], "message": "Missing required field"}
        return self.rejects(row)


def fits(kind, value):
    if value is None:
        return True
    if kind == "TIMESTAMP":
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    if kind in ("INTEGER", "INT64"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(
        value, {"STRING": str, "FLOAT": (int, float), "FLOAT64": (int, float), "BOOLEAN": bool, "BOOL": bool}[kind]
    )


def client_of(url):
    return Client("p", credentials=AnonymousCredentials(), client_options=ClientOptions(api_endpoint=url))
