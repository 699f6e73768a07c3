"""Costs are those of `genai-prices`, for every model that it knows, at every time, for every usage."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot, types
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from multiroute_core.pricing import prices as module
from multiroute_core.pricing.prices import Prices
from multiroute_core.types import Usage
from tests.examples import examples


def name(model: types.ModelInfo) -> str:
    """A name that the model goes by; its id is not always one ("ft:gpt-4o" is "ft:gpt-4o-2024-…")."""
    spelt = re.findall(r"=['\"]([^'\"]+)['\"]", repr(model.match))
    return next((known for known in (model.id, *spelt) if model.is_match(known)), model.id)


BUNDLED = data_snapshot.get_snapshot()
VENDORS = ("anthropic", "openai", "google")
MODELS = [(p.id, name(m)) for p in BUNDLED.providers if p.id in VENDORS for m in p.models]
OTHERS = [(p.id, name(m)) for p in BUNDLED.providers if p.id not in VENDORS for m in p.models]
TIMED = [("deepseek", "deepseek-chat"), ("deepseek", "deepseek-v4-pro"), ("google", "gemini-3.8-flash")]
TIERS = (None, "default", "flex", "priority", "fast", "batch", "")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

shared = Prices()


def expected(provider: str, model: str, usage: Usage, at: datetime, tier: str | None = None) -> float | None:
    """The library's own figure by its public door; without a half of the usage, nobody knows a cost."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    context = {"processing" if tier == "batch" else "service_tier": tier} if tier is not None else None
    try:
        counts = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
            input_audio_tokens=usage.input_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
        )
        price = genai_prices.calc_price(
            counts,
            model,
            provider_id=provider,
            genai_request_timestamp=at,
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    return float(price.total_price)


def same(ours: float | None, theirs: float | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=1e-9)


counts = st.integers(0, 3_000) | st.integers(0, 2_000_000)
edges = st.sampled_from([100_000, 128_000, 200_000, 256_000, 272_000, 512_000])
totals = counts | edges | edges.map(lambda start: start + 1)


@st.composite
def whole_usages(draw: st.DrawFn) -> Usage:
    """What vendors report: the parts are within the whole; what is 0 may be left out."""

    def said(n: int) -> int | None:
        return n if n or draw(st.booleans()) else None

    def parts(total: int, n: int) -> list[int]:
        cuts = sorted(draw(st.lists(st.integers(0, total), min_size=n, max_size=n)))
        sizes = [high - low for low, high in zip([0, *cuts], cuts, strict=False)]
        return [size if draw(st.booleans()) else 0 for size in sizes]

    total, output = draw(totals), draw(counts)
    read, write, heard = parts(total, 3)
    reasoning, spoken = parts(output, 2)
    return Usage(
        total,
        output,
        said(read),
        said(write),
        said(draw(st.integers(0, write))),
        said(reasoning),
        said(heard),
        said(spoken),
    )


any_count = st.none() | st.integers(-2, 3_000)
any_usages = st.builds(Usage, *[any_count] * 8)
span = (datetime(2023, 1, 1), datetime(2029, 1, 1))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(*span) | st.datetimes(*span, timezones=zones)
models = st.sampled_from(MODELS) | st.sampled_from(MODELS) | st.sampled_from(OTHERS) | st.sampled_from(TIMED)


@pytest.mark.slow
@settings(max_examples=examples(500), deadline=None)
@given(models, whole_usages() | any_usages, times, st.sampled_from(TIERS))
@example(("deepseek", "deepseek-v4-pro"), Usage(9, 9), datetime(2027, 1, 1, 1, tzinfo=UTC), None)
@example(("azure", "gpt-6.1-sol"), Usage(9, 9), NOON, "flex")  # prices of another provider, but not its tiers
def test_equal_to_genai_prices(model: tuple[str, str], usage: Usage, at: datetime, tier: str | None) -> None:
    if model[0] == "google" and tier in ("flex", "priority"):  # not all in the library: see test_extras
        tier = None
    ours = shared.cost(*model, replace(usage, service_tier=tier), at=at)
    theirs = expected(*model, usage, at, tier)
    note(f"ours {ours!r}, theirs {theirs!r}")
    assert same(ours, theirs)


@pytest.mark.parametrize("provider", [*VENDORS, "deepseek", "perplexity"])
def test_every_model_is_copied(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [model for vendor, model in MODELS + OTHERS if vendor == provider]
    prices, usage = Prices(), Usage(300_000, 500, 1_000, 2_000, 300, 40)
    first = {
        (m, tier): prices.cost(provider, m, replace(usage, service_tier=tier), at=NOON)
        for m in models
        for tier in TIERS
    }

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the library was asked again")

    monkeypatch.setattr(types.ModelInfo, "calc_price", refuse)
    for (model, tier), cost in first.items():
        assert cost is not None or (provider, tier) == ("google", "priority")
        assert prices.cost(provider, model, replace(usage, service_tier=tier), at=NOON) == cost


# What is unknown, and what is free


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-of-my-own"),
        ("openai", ""),
        ("nobody", "gpt-5"),
        ("my-openai-proxy", "gpt-5"),  # the library would match it to OpenAI
        ("litellm", "openai/gpt-5"),
        ("google", "tunedModels/gemini-2.5-pro"),
        ("google", "projects/p/locations/l/models/gemini-2.5-pro"),
        ("openai", "anthropic/claude-opus-5-5"),
        ("openai", "google/gpt-5"),
    ],
)
def test_unknown_is_none(provider: str, model: str) -> None:
    for _ in range(2):
        assert shared.cost(provider, model, Usage(10, 10)) is None


def test_a_miss_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    find = data_snapshot.DataSnapshot.find_provider_model

    def counted(self: Any, model_ref: str, *args: Any) -> Any:
        looked_up.append(model_ref)
        return find(self, model_ref, *args)

    monkeypatch.setattr(data_snapshot.DataSnapshot, "find_provider_model", counted)
    monkeypatch.setattr(module, "CAPACITY", 3)
    prices = Prices()
    for _ in range(5):
        assert prices.cost("openai", "gpt-of-my-own", Usage(10, 10)) is None
    assert looked_up == ["gpt-of-my-own"]
    for n in range(20):
        assert prices.cost("openai", f"gpt-of-my-own-{n}", Usage(10, 10)) is None
        assert len(prices._tariffs) <= 3  # pyright: ignore[reportPrivateUsage]
    assert prices.cost("openai", "gpt-4.1", Usage(1_000, 500)) == 0.006


def test_unknown_usage_is_none() -> None:
    assert shared.cost("openai", "gpt-5", None) is None
    assert shared.cost("openai", "gpt-5", Usage()) is None
    assert shared.cost("openai", "gpt-5", Usage(cache_read_tokens=5)) is None
    assert shared.cost("openai", "gpt-5", Usage(10, None)) is None
    assert shared.cost("openai", "gpt-5", Usage(None, 10)) is None
    assert shared.cost("openai", "gpt-5", Usage(10, 0)) is not None
    assert shared.cost("openai", "gpt-5", Usage(0, 10)) is not None


def test_impossible_usage_is_none() -> None:
    assert shared.cost("openai", "gpt-5", Usage(10, 10, cache_read_tokens=11)) is None
    assert shared.cost("openai", "gpt-5", Usage(0, 10, cache_read_tokens=11)) is None
    assert shared.cost("openai", "gpt-5", Usage(-1, 10)) is None


def test_local_is_free() -> None:
    assert shared.cost("local", "SmolLM2-135M", Usage(10, 10)) == 0.0
    assert shared.cost("local", "SmolLM2-135M", None) == 0.0


# Prices that depend on something


@pytest.mark.parametrize(
    ("provider", "model", "plain"),
    [
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "publishers/anthropic/models/claude-opus-5-5", "claude-opus-5-5"),
        ("google", "google/gemini-2.5-pro", "gemini-2.5-pro"),
        ("anthropic", "anthropic/claude-opus-5-5", "claude-opus-5-5"),
        ("openai", "openai/gpt-5", "gpt-5"),
        ("openai", "GPT-5", "gpt-5"),
        ("openai", "gpt-6.1-sol-2027-01-01", "gpt-6.1-sol"),
    ],
)
def test_names(provider: str, model: str, plain: str) -> None:
    cost = shared.cost(provider, model, Usage(1_000, 1_000), at=NOON)
    assert cost is not None
    assert cost == shared.cost(provider, plain, Usage(1_000, 1_000), at=NOON)


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 4.5),
        (datetime(2026, 12, 31, 23, 59), 4.5),  # naive: UTC
        (datetime(2027, 1, 1, tzinfo=UTC), 9.0),
        (datetime(2027, 1, 1, 5, tzinfo=timezone(timedelta(hours=9))), 4.5),  # still 2026 in UTC
    ],
)
def test_dated_price(at: datetime, cost: float) -> None:
    assert shared.cost("google", "gemini-3.8-flash", Usage(1_000_000, 1_000_000), at=at) == pytest.approx(cost)


def test_time_of_day() -> None:
    usage = Usage(1_000_000, 0)
    dear, cheap = (
        shared.cost("deepseek", "deepseek-chat", usage, at=datetime(2025, 8, 1, hour, tzinfo=UTC)) for hour in (12, 20)
    )
    assert dear is not None
    assert cheap is not None
    assert cheap < dear


def test_long_input() -> None:
    assert shared.cost("openai", "gpt-6.1-sol", Usage(272_000, 0), at=NOON) == pytest.approx(0.544)
    assert shared.cost("openai", "gpt-6.1-sol", Usage(272_001, 0), at=NOON) == pytest.approx(2 * 0.544002)


@pytest.mark.parametrize(("tier", "factor"), [("flex", 0.5), ("default", 1), ("auto", 1), ("priority", 2)])
def test_service_tier(tier: str, factor: float) -> None:
    usage = Usage(1_000_000, 100_000, cache_read_tokens=400_000)
    standard = shared.cost("openai", "gpt-6.1-sol", usage, at=NOON)
    assert standard is not None
    assert shared.cost("openai", "gpt-6.1-sol", replace(usage, service_tier=tier), at=NOON) == pytest.approx(
        factor * standard
    )


def test_service_tier_since_a_date() -> None:
    prices, usage = Prices(), Usage(1_000_000, 100_000)
    for at, factor in [(NOON, 0.5), (datetime(2026, 10, 11, tzinfo=UTC), 1.0), (NOON, 0.5)]:
        standard = prices.cost("openai", "gpt-6.1-sol", usage, at=at)
        assert standard is not None
        assert prices.cost("openai", "gpt-6.1-sol", replace(usage, service_tier="flex"), at=at) == pytest.approx(
            factor * standard
        )


def test_parts_have_their_own_rates() -> None:
    usage = Usage(1_000_000, 100_000, 500_000, 300_000, 200_000, reasoning_tokens=60_000)
    # fresh 200k at 4, reads 500k at 0.2, writes 100k at 5 and 200k at 8 for an hour; all output at 20
    assert shared.cost("anthropic", "claude-opus-5-5", usage, at=NOON) == pytest.approx(0.8 + 0.1 + 0.5 + 1.6 + 2.0)


# Prices of a later version


@pytest.fixture
def later_data() -> Iterator[list[types.ModelInfo]]:
    """The models of the one provider "openai" in data of our own; filled by the test."""
    models: list[types.ModelInfo] = []
    provider = types.Provider(id="openai", name="OpenAI", api_pattern="", models=models)
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers=[provider], from_auto_update=True))
    yield models
    data_snapshot.set_custom_snapshot(None)


def model_info(prices: types.ModelPrice | list[types.ConditionalPrice]) -> types.ModelInfo:
    return types.ModelInfo(id="gpt-7", match=types.ClauseEquals(equals="gpt-7"), prices=prices)


def test_updated_data_replaces_the_copies(later_data: list[types.ModelInfo]) -> None:
    prices = Prices()
    later_data.append(model_info(types.ModelPrice(input_mtok=Decimal(1))))
    assert prices.cost("openai", "gpt-7", Usage(1_000_000, 0)) == 1.0
    data_snapshot.set_custom_snapshot(None)
    assert prices.cost("openai", "gpt-7", Usage(1_000_000, 0)) is None
    assert prices.cost("openai", "gpt-4.1", Usage(1_000, 500)) == 0.006


def test_a_new_way_to_price_is_left_to_the_library(later_data: list[types.ModelInfo]) -> None:
    class Surcharged(types.ModelPrice):
        def calc_price(self, usage: object) -> types.CalcPrice:
            price = super().calc_price(usage)
            return {**price, "total_price": price["total_price"] + 1}

    later_data.append(model_info(Surcharged(input_mtok=Decimal(1))))
    assert Prices().cost("openai", "gpt-7", Usage(1_000_000, 0)) == 2.0


def test_a_new_constraint_is_left_to_the_library(later_data: list[types.ModelInfo]) -> None:
    class Minutes(types.StartDateConstraint):
        calls = 0

        def active(self, request_timestamp: datetime) -> bool:
            Minutes.calls += 1
            return request_timestamp.minute >= 30

    conditions = [
        types.ConditionalPrice(prices=types.ModelPrice(input_mtok=Decimal(1))),
        types.ConditionalPrice(Minutes(date(2026, 1, 1)), prices=types.ModelPrice(input_mtok=Decimal(2))),
    ]
    later_data.append(model_info(conditions))
    prices = Prices()
    for minute, cost in [(10, 1.0), (40, 2.0), (10, 1.0)]:
        assert prices.cost("openai", "gpt-7", Usage(1_000_000, 0), at=NOON.replace(minute=minute)) == cost
    assert Minutes.calls == 3


def test_fee_per_request(later_data: list[types.ModelInfo]) -> None:
    later_data.append(model_info(types.ModelPrice(input_mtok=Decimal(1), requests_kcount=Decimal(5))))
    assert Prices().cost("openai", "gpt-7", Usage(1_000_000, 0)) == pytest.approx(1.005)


def test_overlapping_parts_are_left_to_the_library(later_data: list[types.ModelInfo]) -> None:
    rates = {"output_mtok": 1, "output_reasoning_mtok": 2, "output_audio_mtok": 3, "output_audio_reasoning_mtok": 4}
    later_data.append(model_info(types.ModelPrice(**{key: Decimal(rate) for key, rate in rates.items()})))
    prices = Prices()
    assert prices.cost("openai", "gpt-7", Usage(0, 1_000_000, reasoning_tokens=500_000)) == pytest.approx(1.5)
    assert prices.cost("openai", "gpt-7", Usage(0, 10, reasoning_tokens=5, output_audio_tokens=5)) is None


def test_broken_prices_are_none(later_data: list[types.ModelInfo]) -> None:
    prices: Any = {"input_mtok": "two dollars"}
    later_data.append(model_info(types.ModelPrice(**prices)))
    assert Prices().cost("openai", "gpt-7", Usage(1_000_000, 0)) is None


# The shop


@pytest.mark.slow
def test_import_is_lazy() -> None:
    code = """
import sys
from multiroute_core.pricing.prices import Prices
from multiroute_core.types import Usage
prices = Prices()
assert prices.cost("local", "m", Usage(1, 1)) == 0.0 and prices.cost("openai", "gpt-5", None) is None
assert "genai_prices" not in sys.modules
prices.load()
assert "genai_prices.data" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_threads_share_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAPACITY", 5)
    prices, usage = Prices(), Usage(1_000, 100)
    wanted = {model: expected(*model, usage, NOON) for model in MODELS[:30]}
    wrong: list[tuple[str, str]] = []

    def ask() -> None:
        for model, cost in list(wanted.items()) * 5:
            if not same(prices.cost(*model, usage, at=NOON), cost):
                wrong.append(model)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
