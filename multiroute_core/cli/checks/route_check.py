"""Check of one route: its package, its key, its address, its model, its price; with `--ask`, one short answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from multiroute_core._util.redaction import SHORTEST_SECRET, redact_url, without_secret
from multiroute_core.cli.checks.addresses import explain_address
from multiroute_core.cli.checks.at_once import run_at_once
from multiroute_core.cli.checks.descriptions import (
    describe_capabilities,
    describe_key,
    describe_limits,
    explain_unknown_model,
)
from multiroute_core.cli.checks.failures import explain_failure, read_message
from multiroute_core.cli.checks.keys import explain_key
from multiroute_core.cli.checks.proxies import find_proxy
from multiroute_core.cli.checks.results import Code, Problem, RouteResult
from multiroute_core.configuration.places import KeyPath
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.parsing.arguments import build
from multiroute_core.pricing.prices import Prices
from multiroute_core.pricing.sellers import address_of
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.providers import registry
from multiroute_core.providers.headroom import headroom
from multiroute_core.providers.model_list import ListedModel, check_key, fetch_model, fetch_models, find_model
from multiroute_core.providers.provider import NoAnswer, Provider
from multiroute_core.providers.registry import MissingPackageError
from multiroute_core.providers.retirements import READ_ON, find_retirement
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.types import Usage

SOON = timedelta(days=60)
"""A retirement within this time is a warning."""

ANSWER_TOKENS = {"openai.responses": 16}
"""The most tokens of the test answer, where an API rejects 1: "integer_below_min_value" of OpenAI's Responses API,
https://developers.openai.com/api/reference/resources/responses/methods/create (2026-11-30)."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class RouteTask:
    """One route to check.

    Attributes:
        route: The route.
        path: Its key in the file; empty without a file.
        rejected: Its keys that have a problem already.
        key_source: Where its own key comes from, such as a variable; empty if it has none of its own.
    """

    route: Route
    path: KeyPath = ()
    rejected: frozenset[str] = frozenset()
    key_source: str = ""


@dataclass(slots=True)
class CheckContext:
    """What the checks of all routes share.

    Attributes:
        timeout: Seconds for each request.
        ask: Whether each route is asked for a short answer, which costs something.
        today: The date.
        skips_missing_keys: Whether the router leaves out routes without a key.
        prices: The prices.
    """

    timeout: float = 10.0
    ask: bool = False
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    skips_missing_keys: bool = False
    prices: Prices = field(default_factory=Prices)
    _servers: dict[Any, Server] = field(default_factory=dict[Any, "Server"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def server_of(self, route: Route, provider: Provider) -> Server:
        """Return the server of a route; routes with the same vendor, address and key share it."""
        with self._lock:
            return self._servers.setdefault(registry.identity(route), Server(provider))


class Server:
    """One address and key: its list of models is requested once."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._listing: tuple[dict[str, ListedModel] | None, Exception | None] | None = None

    def list_models(self, route: Route, seconds: float) -> dict[str, ListedModel] | None:
        """Return the models by name; None if the server has no list.

        Raises:
            Exception: As the SDK raises it.
        """
        with self._lock:
            if self._listing is None:
                try:
                    self._listing = self._request(route, seconds), None
                except Exception as error:
                    self._listing = None, error
        models, error = self._listing
        if error is not None:
            raise error
        return models

    def _request(self, route: Route, seconds: float) -> dict[str, ListedModel] | None:
        api = self.provider.api(route)

        async def request() -> dict[str, ListedModel] | None:
            io = SyncIO()
            models = await fetch_models(self.provider, api, io, start_limit(seconds))
            await check_key(self.provider, route.provider, io, start_limit(seconds))
            return models

        return run(request())


def start_limit(seconds: float) -> Deadline:
    """Return a deadline from now on."""
    limit = Deadline()
    limit.set("the answer", time.monotonic() + seconds, seconds)
    return limit


class RouteCheck:
    """The check of one route.

    Args:
        task: The route.
        context: What all checks share.

    Attributes:
        result: What is known about the route.
        problems: What is wrong with it.
    """

    def __init__(self, task: RouteTask, context: CheckContext) -> None:
        route = task.route
        self._task = task
        self._route = route
        self._context = context
        address = registry.base_url(route) or ""
        self._address = redact_url(address) or f"the API of {route.provider}"
        if route.base_url is None and address_of(route) is not None:
            self._address += f" ({PROVIDERS[route.provider].base_url_variable})"
        self.result = RouteResult(route.name, route.provider, route.model)
        self.problems: list[Problem] = []

    def run(self) -> None:
        """Check the route. Nothing is raised: what fails is a problem."""
        for step in (self._check_price, self._check_server):
            try:
                step()
            except Exception as error:  # a check must not end the others
                self._add("server", f"the check failed ({type(error).__name__}: {error}).")
        self._check_retirement(None)

    def _check_server(self) -> None:
        if not self._has_valid_address():
            self._check_presence_of_key()
            return
        provider = self._check_package()
        has_key = self._check_presence_of_key()
        if provider is None:
            return
        facts = registry.facts(self._route, provider)
        self.result.window = facts.window
        self.result.capabilities = describe_capabilities(self._route, facts.offers)
        if not has_key or self._task.rejected & {"route", "base_url", "sdk", "api"}:
            return
        if PROVIDERS[self._route.provider].is_local:
            self.result.key_status = "not needed"
            self.result.model_status = "listed"
        elif not self._check_models(provider):
            return
        if self._context.ask:
            self._check_answer(provider)

    def _check_package(self) -> Provider | None:
        route = self._route
        try:
            # Whether the package is there does not depend on the key.
            provider = registry.build(route if _has_valid_key(route) else route.with_key("missing"))
        except MissingPackageError as error:
            self.result.package = "missing"
            self._add("package", str(error), "sdk" if route.sdk else "route")
            return None
        except ConfigurationError as error:
            self.result.package = "missing"
            self._add("package", str(error), "route")
            return None
        self.result.package = "installed"
        return provider

    def _has_valid_address(self) -> bool:
        """Whether the variable with the address, if the route has none of its own, can be used."""
        if self._route.llm is not None:
            return True
        try:
            registry.check_address(self._route)
        except ConfigurationError as error:
            self._add("address", str(error), "base_url")
            return False
        return True

    def _check_presence_of_key(self) -> bool:
        route = self._route
        if "api_key" in self._task.rejected:
            self.result.key = "missing"  # the file's own problem says why
            return False
        is_missing = bool(registry.missing_key_variables(route))
        self.result.key = "missing" if is_missing else self._task.key_source or describe_key(route)
        if _has_valid_key(route):
            return True
        try:
            registry.api_key(route)
        except ConfigurationError as error:
            self._add("key", str(error), "api_key", is_warning=is_missing and self._context.skips_missing_keys)
        return False

    def _check_models(self, provider: Provider) -> bool:
        """Ask the server for its models; return whether it answers."""
        seconds = self._context.timeout
        server = self._context.server_of(self._route, provider)
        try:
            models = server.list_models(self._route, seconds)
        except Exception as error:
            self._add_failure(error, provider)
            return False
        if models is None:
            self.result.model_status = "not listed by this server"
            fault = explain_address(self._route, provider.api(self._route), start_limit(seconds))
            if fault:
                self._add("address", fault, "base_url")
            return not fault
        self.result.key_status = "accepted"
        listed = find_model(models, self._route.model) or self._retrieve(provider, models)
        if listed is None:
            self.result.model_status = "unknown"
            if not self._check_retirement(None):
                self._add("model", explain_unknown_model(self._address, self._route, models), "route")
            return False
        self.result.model_status = "listed"
        self.result.window = listed.window or self.result.window
        return not self._check_retirement(listed)

    def _retrieve(self, provider: Provider, models: dict[str, ListedModel]) -> ListedModel | None:
        """Ask for the model by its name, which may be an alias that the list does not have."""
        api = provider.api(self._route)
        limit = start_limit(self._context.timeout)
        try:
            return run(fetch_model(provider, api, self._route.model, SyncIO(), limit))
        except Exception:  # many servers have a list and nothing else
            return None

    def _check_answer(self, provider: Provider) -> None:
        api = provider.api(self._route)
        request, _ = build("Say OK.", {"max_tokens": ANSWER_TOKENS.get(api, 1)}, ())
        encoded = provider.encode(request, self._route, stream=False)
        began = time.monotonic()
        try:
            reply = run(provider.call(SyncIO(), start_limit(self._context.timeout), encoded))
            usage = _read_usage(provider, reply, encoded)
        except Exception as error:
            self.result.answer = "failed"
            self._add_failure(error, provider, code="answer")
            return
        now = time.monotonic()
        self.result.answer = "answered"
        self.result.key_status = "accepted"
        self.result.seconds = now - began
        cost = self._context.prices.cost_on(self._route, usage)
        self.result.cost = None if cost is None else float(cost)
        if (levels := headroom(reply.headers, now, time.time())) is not None:
            kinds = ("requests", "tokens", "input_tokens", "output_tokens")
            self.result.limits = describe_limits([(kind, getattr(levels, kind)) for kind in kinds])

    def _check_price(self) -> None:
        prices = [self._context.prices.cost_on(self._route, usage) for usage in (Usage(1000, 0), Usage(0, 1000))]
        if prices[0] is not None and prices[1] is not None:
            self.result.prices = (round(float(prices[0]) * 1000, 6), round(float(prices[1]) * 1000, 6))

    def _check_retirement(self, listed: ListedModel | None) -> bool:
        """Compare today with the date of the server's list; or of the vendor's page, at its own address.

        Returns:
            Whether the model has retired.
        """
        if self.result.retires_on is not None or self.result.model_status == "retired":
            return self.result.model_status == "retired"
        page = find_retirement(self._route) if listed is None or listed.lifecycle != "active" else None
        is_own = address_of(self._route) is None
        last_day = listed.retires_on if listed is not None else None
        source = f"{self._address} says so"
        if last_day is None and page is not None and is_own:
            last_day = page.on
            source = f"the vendor's page of {READ_ON} says so"
        lifecycle = "" if listed is None else listed.lifecycle
        if last_day is None and lifecycle != "retired":
            return False
        successor = (listed.successor if listed is not None else "") or (page.successor if page is not None else "")
        self.result.retires_on = last_day
        self.result.successor = successor
        advice = f"use {successor!r}" if successor else "use a newer model"
        when = "" if last_day is None else f" on {last_day}"
        name = self._route.model
        today = self._context.today
        if lifecycle == "retired" or (last_day is not None and last_day <= today and lifecycle != "deprecated"):
            self.result.model_status = "retired"
            self._add("retirement", f"the model {name!r} has retired{when} ({source}); {advice}.", "route")
            return True
        if last_day is not None and last_day - today <= SOON:
            message = f"the model {name!r} retires on {last_day} ({source}); {advice} before."
            self._add("retirement", message, "route", is_warning=True)
        return False

    def _add_failure(self, error: Exception, provider: Provider, code: Code | None = None) -> None:
        failure = provider.classify(error)
        seconds = self._context.timeout
        proxy = find_proxy(registry.base_url(self._route))
        is_own = address_of(self._route) is None
        kind, message = explain_failure(
            error, failure, self._address, self._describe_sent_key(), seconds, is_own=is_own, proxy=proxy
        )
        if kind == "authentication":
            self.result.key_status = "refused"
        if code == "answer" and kind == "server":
            kind, message = code, f"the model did not answer: {read_message(failure)}."
        key = {"authentication": "api_key", "answer": "route"}
        self._add(kind, message, key.get(kind, "base_url"))

    def _describe_sent_key(self) -> str:
        """Return where the key comes from, and what is seen at once in it; empty if none is sent."""
        source = self.result.key
        if self._route.llm is not None or source == "not needed":
            return "" if source == "not needed" else source
        hint = explain_key(str(registry.api_key(self._route)), self._route.provider)
        return f"{source}: {hint}" if hint else source

    def _add(self, code: Code, message: str, key: str = "", *, is_warning: bool = False) -> None:
        """Add a problem at one of the route's keys; the key of the route itself if that one is not written."""
        path = (*self._task.path, key) if key and self._task.path else self._task.path
        message = message.replace(f"Route {self._route.name!r} ", "it ")  # the place names it already
        self.problems.append(Problem(code, self._conceal(message), path, self._route.name, is_warning))

    def _conceal(self, message: str) -> str:
        """Return a message without the route's key: a server may quote it."""
        keys = {self._route.api_key or ""}
        if self._route.llm is None and (variable := registry.key_variable(self._route)) is not None:
            keys.add(os.environ[variable])
        for key in keys:
            if len(key) >= SHORTEST_SECRET:
                message = without_secret(message, key)
        return printable(message)


def check_routes(
    tasks: Sequence[RouteTask],
    context: CheckContext,
    on_done: Callable[[int], object] = lambda _: None,
    more_jobs: Sequence[Callable[[], object]] = (),
) -> list[RouteCheck]:
    """Check all routes at once.

    Args:
        tasks: The routes.
        context: What the checks share.
        on_done: Called with the number of jobs that are done.
        more_jobs: Jobs that run at the same time.
    """
    checks = [RouteCheck(task, context) for task in tasks]
    run_at_once([*more_jobs, *(check.run for check in checks)], on_done)
    return checks


def _read_usage(provider: Provider, reply: Any, encoded: Any) -> Usage | None:
    """Return the tokens of an answer; one without text is an answer too, as one token may be too few for any."""
    try:
        return provider.decode(reply, encoded).usage
    except NoAnswer as error:
        return error.usage


def _has_valid_key(route: Route) -> bool:
    if route.llm is not None or PROVIDERS[route.provider].is_local:
        return True
    try:
        registry.api_key(route)
    except ConfigurationError:
        return False
    return True
