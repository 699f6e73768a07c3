"""BigQuery exporter: ledger records as rows of a table."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.telemetry.columns import TIME, columns
from multiroute_core.telemetry.outbox import DeliveryResult, Outbox, Timing

BATCH = 500
"""Maximum rows per request, as recommended by Google."""

CLUSTERED = ("tenant", "model")
"""The clustering columns; queries often filter by both."""

_AGAIN = {"stopped", "timeout", "backendError", "internalError", "rateLimitExceeded", "quotaExceeded"}
"""Error reasons for which a row may be accepted later."""


class _Loader:
    """Creates and updates the table, and inserts rows."""

    def __init__(self, client: Any, table: Any, timeout: float, *, create: bool) -> None:
        self.client = client
        self.table = table
        self.timeout = timeout
        self.create = create
        self.process = os.getpid()
        self.there: frozenset[str] | None = None
        self.bigquery, self.api, self.auth, self.requests = (
            importlib.import_module(name)
            for name in (
                "google.cloud.bigquery",
                "google.api_core.exceptions",
                "google.auth.exceptions",
                "requests.exceptions",
            )
        )

    def __call__(self, records: Sequence[Any]) -> DeliveryResult[Any]:
        """Sends a batch."""
        if self.process != os.getpid():  # a forked child needs its own connection
            self.client.close()
            self.process = os.getpid()
        try:
            if self.there is None:
                self.there = self._prepared(records[0].__class__)
            return self._load(records, self.there)
        except self.api.GoogleAPICallError as error:
            self.there = None
            return DeliveryResult(unsent=records, reason=self._describe_error(error))
        except (self.auth.GoogleAuthError, self.requests.RequestException, OSError) as error:
            return DeliveryResult(unsent=records, reason=f"no connection ({type(error).__name__})")

    def _prepared(self, record: type[Any]) -> frozenset[str]:
        """Returns the table's column names in lower case; creates what is missing."""
        if not self.create:
            return _names(self.client.get_table(self.table, retry=None, timeout=self.timeout).schema)
        fields = [self._field(column) for column in columns(record)]
        try:
            table = self.client.get_table(self.table, retry=None, timeout=self.timeout)
        except self.api.NotFound:
            table = self._created(fields)
        there = _names(table.schema)
        missing = [field for field in fields if field.name.lower() not in there]
        if missing:
            table.schema = [*table.schema, *missing]
            table = self.client.update_table(table, ["schema"], retry=None, timeout=self.timeout)
        return _names(table.schema)

    def _created(self, fields: Sequence[Any]) -> Any:
        table = self.bigquery.Table(self.table, schema=fields)
        names = {field.name for field in fields}
        if TIME in names:
            table.time_partitioning = self.bigquery.TimePartitioning(field=TIME)
        table.clustering_fields = [name for name in CLUSTERED if name in names] or None
        table.description = "MultiRoute ledger: one row per attempt and per answer from the cache."
        try:
            return self.client.create_table(table, retry=None, timeout=self.timeout)
        except self.api.Conflict:  # another process created it first
            return self.client.get_table(self.table, retry=None, timeout=self.timeout)

    def _field(self, column: Any) -> Any:
        mode = "REPEATED" if column.repeated else "NULLABLE"
        return self.bigquery.SchemaField(column.name, column.kind, mode, description=column.description)

    def _load(self, records: Sequence[Any], there: frozenset[str]) -> DeliveryResult[Any]:
        rows = [_row(record) for record in records]
        try:
            errors = self.client.insert_rows_json(
                self.table,
                [{name: value for name, value in row.items() if name.lower() in there} for row in rows],
                row_ids=[_insert_id(row) for row in rows],
                skip_invalid_rows=True,
                retry=None,
                timeout=self.timeout,
            )
        except self.api.GoogleAPICallError as error:
            if not _too_large(error):
                raise
            if len(records) == 1:
                return DeliveryResult(rejected=1, reason="the row is too large")
            middle = len(records) // 2
            return _both(self._load(records[:middle], there), self._load(records[middle:], there))
        return self._sorted(records, errors, there)

    def _sorted(self, records: Sequence[Any], errors: Sequence[Any], there: frozenset[str]) -> DeliveryResult[Any]:
        """Evaluates the errors of single rows; the other rows were inserted."""
        left: list[int] = []
        rejections: list[str] = []
        for error in errors:
            causes: Sequence[Mapping[str, Any]] = error["errors"]
            reasons = {str(each.get("reason", "unknown")) for each in causes}
            if reasons and reasons <= _AGAIN:
                left.append(error["index"])
            elif any(_new_column(each, there) for each in causes):  # BigQuery takes minutes to recognize a new column
                left.append(error["index"])
                self.there = None
            else:
                places = {str(each.get("location") or "?") for each in causes}
                rejections.append(
                    f"BigQuery rejected them as {'/'.join(sorted(reasons))} at {'/'.join(sorted(places))}"
                )
        why = rejections[0] if rejections else "BigQuery does not accept all rows yet" if left else ""
        return DeliveryResult(unsent=[records[index] for index in sorted(left)], rejected=len(rejections), reason=why)

    def _describe_error(self, error: Any) -> str:
        """Describes an error and its remedy, without Google's own text, which may quote a value."""
        reason = next((str(each.get("reason")) for each in error.errors or () if each.get("reason")), "")
        summary = f"the response was HTTP {error.code}" + (f" ({reason})" if reason else "")
        if isinstance(error, self.api.NotFound):
            what = "the dataset" if self.create else "the table, or its dataset,"
            return f"{summary}: {what} may not exist; create it"
        if isinstance(error, self.api.Forbidden):
            return f"{summary}: the role roles/bigquery.dataEditor on the dataset is missing, or a quota is used up"
        return summary


class BigQuery(Outbox[Any]):
    """Exporter that writes records to a BigQuery table. It returns at once; one thread sends the rows.

    The table is created if it does not exist, partitioned by the day of `ended_at` and clustered by tenant and model;
    its dataset must exist. Missing columns are added, extra columns are not changed. If BigQuery is unavailable,
    records are queued and sent later. A row that is rejected permanently is dropped; the other rows of its batch are
    inserted. Each row has an insert id derived from the record, by which BigQuery removes duplicates within about a
    minute. `close` leaves a client passed by the caller open.

    Args:
        table: `"project.dataset.table"`.
        client: A `google.cloud.bigquery.Client`; None creates one with the environment's credentials.
        create: Whether to create the table and missing columns. If False, fields without a column are omitted.
        batch: Maximum number of rows per request.
        timeout: Timeout of a request in seconds.
        max_pending: Maximum number of queued records; beyond it, the oldest are dropped and counted.
        timing: Clock and sleep, for tests.

    Raises:
        ConfigurationError: if google-cloud-bigquery is not installed, no credentials exist, or `table` is not valid.

    Example:
        >>> ledger = Ledger(export=[BigQuery("my-project.llm.calls")])  # doctest: +SKIP
    """

    def __init__(
        self,
        table: str,
        *,
        client: Any = None,
        create: bool = True,
        batch: int = BATCH,
        timeout: float = 10.0,
        max_pending: int = 50_000,
        timing: Timing | None = None,
    ) -> None:
        self.table = table
        self._options = {"create": create, "batch": batch, "timeout": timeout, "max_pending": max_pending}
        bigquery = _library()
        reference = _reference(bigquery, table)
        loader = _Loader(client or _client(bigquery, reference.project), reference, timeout, create=create)
        what = f"The table {table} of BigQuery"
        super().__init__(loader, what, batch=batch, max_pending=max_pending, timing=timing)

    def __call__(self, records: Sequence[Any]) -> None:
        """Queues records, which are dataclasses. Never blocks or raises."""
        self.put(records)

    def __repr__(self) -> str:
        return f"BigQuery({self.table!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles without its client and queue; the copy uses the environment's credentials."""
        return _rebuild, (self.table, self._options)


def _rebuild(table: str, options: Mapping[str, Any]) -> BigQuery:
    return BigQuery(table, **options)


def _library() -> Any:
    try:
        return importlib.import_module("google.cloud.bigquery")
    except ImportError as error:
        raise ConfigurationError(
            f"BigQuery needs a package that is not installed ({error}); run: pip install 'multiroute-llm[bigquery]'"
        ) from error


def _reference(bigquery: Any, table: str) -> Any:
    try:
        reference = bigquery.TableReference.from_string(table)
    except (ValueError, TypeError, AttributeError):
        reference = None
    if reference is None or not re.fullmatch(r"\w+/[\w$-]+", f"{reference.dataset_id}/{reference.table_id}"):
        raise ConfigurationError(f"table={table!r:.200} is not a valid table; expected 'project.dataset.table'.")
    return reference


def _client(bigquery: Any, project: str) -> Any:
    auth = importlib.import_module("google.auth.exceptions")
    try:
        return bigquery.Client(project=project)
    except auth.GoogleAuthError as error:
        raise ConfigurationError(
            "BigQuery has no credentials: run `gcloud auth application-default login`, set "
            "GOOGLE_APPLICATION_CREDENTIALS, or pass client=google.cloud.bigquery.Client(...)."
        ) from error


def _names(schema: Sequence[Any]) -> frozenset[str]:
    return frozenset(field.name.lower() for field in schema)


def _row(record: Any) -> dict[str, Any]:
    return {column.name: column.value(getattr(record, column.name)) for column in columns(record.__class__)}


def _insert_id(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]


def _too_large(error: Any) -> bool:
    return error.code == 413 or (error.code == 400 and "size exceeds" in str(error.message))


def _new_column(cause: Mapping[str, Any], there: frozenset[str]) -> bool:
    """Returns whether a row was rejected for a column that the table has."""
    message = str(cause.get("message", "")).lower()
    name = message.partition("no such field:")[2].strip(" .")
    return bool(name) and name in there


def _both(one: DeliveryResult[Any], other: DeliveryResult[Any]) -> DeliveryResult[Any]:
    return DeliveryResult([*one.unsent, *other.unsent], one.rejected + other.rejected, one.reason or other.reason)
