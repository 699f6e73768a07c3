"""What an answer costs besides its plain tokens, against prices worked out by hand.

The prices are those of the vendors' pages, read on 2026-11-28 as `genai-prices` 0.2.3 has them:
https://platform.claude.com/docs/en/about-claude/pricing, https://ai.google.dev/gemini-api/docs/pricing,
https://developers.openai.com/api/docs/pricing.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Route, Usage
from multiroute_core.pricing.prices import Prices

PRICES = Prices()
OPUS, FLASH, GPT = Route("anthropic:claude-opus-5"), Route("google:gemini-2.5-flash"), Route("openai:gpt-5.4")
OWN = Route("openai:m", prices={"input": 1, "output": 2, "cache_read": 0.1})
M = 1_000_000


def cost(route: Route | str, usage: Usage, model: str | None = None) -> Any:
    return PRICES.cost_on(Route.of(route), usage, model=model)


BY_HAND: dict[str, tuple[Route | str, Usage, float]] = {
    # Claude Opus 5: $5 in, $25 out; fast mode $10 and $50; batch half; cache writes $6.25 and $10 (1 h), reads $0.50.
    "fast": (OPUS, Usage(1_000, 1_000, speed="fast"), 0.010 + 0.050),
    "fast, cached": (OPUS, Usage(3_000, 0, 1_000, 1_000, speed="fast"), 0.010 + 0.001 + 0.0125),
    "standard speed": (OPUS, Usage(1_000, 1_000, speed="standard"), 0.005 + 0.025),
    "fast, of a model without it": ("anthropic:claude-haiku-4-5", Usage(M, 0, speed="fast"), 1.0),
    "a batch of Anthropic": (OPUS, Usage(1_000, 1_000, service_tier="batch"), 0.0025 + 0.0125),
    "Anthropic's priority tier": (OPUS, Usage(1_000, 1_000, service_tier="priority"), 0.005 + 0.025),
    "5 web searches": (OPUS, Usage(1_000, 1_000, web_searches=5), 0.030 + 5 * 0.010),
    "web searches in fast mode": (OPUS, Usage(1_000, 1_000, web_searches=5, speed="fast"), 0.060 + 5 * 0.010),
    "no web search": (OPUS, Usage(1_000, 1_000, web_searches=0), 0.030),
    "cache writes for an hour": (OPUS, Usage(3_000, 0, None, 2_000, 1_500), 0.005 + 500 * 6.25e-6 + 1_500 * 10e-6),
    # GPT-5.4: $2.50 in, $15 out; flex and batch $1.25 and $7.50; priority $5 and $30; web searches $10 a thousand.
    "OpenAI's flex tier": (GPT, Usage(1_000, 1_000, service_tier="flex"), 0.00125 + 0.0075),
    "OpenAI's priority tier": (GPT, Usage(1_000, 1_000, service_tier="priority"), 0.005 + 0.030),
    "a batch of OpenAI": (GPT, Usage(1_000, 1_000, service_tier="batch"), 0.00125 + 0.0075),
    "OpenAI's web searches": (GPT, Usage(1_000, 1_000, web_searches=3), 0.0175 + 3 * 0.010),
    # File searches $2.50 a thousand (developers.openai.com/api/docs/pricing, 2026-11-30).
    "OpenAI's file searches": (GPT, Usage(1_000, 1_000, web_searches=1, file_searches=4), 0.0175 + 0.010 + 4 * 0.0025),
    # gpt-audio: $2.50 and $32 in, $10 and $64 out.
    "audio": ("openai:gpt-audio", Usage(1_000, 500, input_audio_tokens=400, output_audio_tokens=300),
              600 * 2.5e-6 + 400 * 32e-6 + 200 * 10e-6 + 300 * 64e-6),
    # Gemini 2.5 Flash: $0.30 in, audio $1; $2.50 out; cache reads $0.03, audio $0.10; searches $35 a thousand.
    "cached audio": (FLASH, Usage(10_000, 0, 4_000, input_audio_tokens=5_000, cache_read_audio_tokens=3_000),
                     4_000 * 0.3e-6 + 1_000 * 0.03e-6 + 2_000 * 1e-6 + 3_000 * 0.1e-6),
    "fresh audio beside a cached text": (FLASH, Usage(10_000, 0, 4_000, input_audio_tokens=5_000, cache_read_audio_tokens=0),
                                         1_000 * 0.3e-6 + 4_000 * 0.03e-6 + 5_000 * 1e-6),
    "Gemini's searches": (FLASH, Usage(1_000, 1_000, web_searches=2), 0.0003 + 0.0025 + 2 * 0.035),
    "a batch of Gemini": (FLASH, Usage(1_000, 1_000, service_tier="BATCH"), 0.00015 + 0.00125),
    "pictures that are tokens like others": (FLASH, Usage(1_000, 0, input_image_tokens=900), 0.0003),
    # Gemini 2.5 Flash Image: $0.30 in, $2.50 out, $30 for pictures; Gemini 3 Pro Image: $2, $12 and $120.
    "pictures": ("google:gemini-2.5-flash-image", Usage(1_000, 1_390, output_image_tokens=1_290),
                 0.0003 + 100 * 2.5e-6 + 1_290 * 30e-6),
    "pictures and thoughts": ("google:gemini-3-pro-image-preview",
                              Usage(1_000, 1_620, reasoning_tokens=400, output_image_tokens=1_120, input_image_tokens=560),
                              0.002 + 500 * 12e-6 + 1_120 * 120e-6),
    # Gemini 3.1 Flash Live: $0.75 in, pictures $1, audio $3; $4.50 out, audio $12.
    "pictures that are read": ("google:gemini-3.1-flash-live-preview", Usage(1_000, 0, input_image_tokens=600),
                               400 * 0.75e-6 + 600 * 1e-6),
    # Gemini 3.8 Flash TTS: flex $0.25 and $4.50, priority $0.90 and $16.20 until the end of 2026.
    "Gemini's flex tier": ("google:gemini-3.8-flash-tts", Usage(1_000, 1_000, service_tier="flex"), 0.00025 + 0.0045),
    "Gemini's priority tier": ("google:gemini-3.8-flash-tts", Usage(1_000, 1_000, service_tier="SERVICE_TIER_PRIORITY"),
                               0.0009 + 0.0162),
    # Inference in the USA only: all tokens times 1.1, searches not (platform.claude.com/docs/en/about-claude/pricing).
    "inference in the USA": (OPUS, Usage(1_000, 1_000, inference_geo="us"), 0.0055 + 0.0275),
    "inference in the USA, fast and searching": (OPUS, Usage(1_000, 1_000, speed="fast", web_searches=2, inference_geo="us"),
                                                 0.011 + 0.055 + 0.020),
    "inference in the USA, cached": (OPUS, Usage(3_000, 0, 1_000, 2_000, 500, inference_geo="us"),
                                     1.1 * (1_000 * 0.5e-6 + 1_500 * 6.25e-6 + 500 * 10e-6)),
    "another vendor's model": (GPT, Usage(1_000, 1_000, inference_geo="us"), 0.0175),
    # Gemini's flex tier is half of the standard price on every model (ai.google.dev/gemini-api/docs/optimization).
    "Gemini's flex tier, not listed": (FLASH, Usage(1_000, 1_000, web_searches=1, service_tier="flex"), 0.00015 + 0.00125 + 0.035),
}  # fmt: skip

SINCE_2027 = ("Gemini's flex tier", "Gemini's priority tier")
"""Prices that double with the year."""


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case: str) -> None:
    from datetime import UTC, datetime

    route, usage, dollars = BY_HAND[case]
    route = Route.of(route)
    at = datetime(2026, 11, 28, tzinfo=UTC)
    assert PRICES.cost(route.provider, route.model, usage, at=at) == pytest.approx(dollars, rel=1e-9)
    if case not in SINCE_2027 or datetime.now(UTC).year == 2026:
        assert cost(route, usage) == pytest.approx(dollars, rel=1e-9)


@pytest.mark.parametrize(
    ("route", "usage"),
    [
        (FLASH, Usage(10_000, 0, 4_000, input_audio_tokens=5_000)),  # how much of the audio was cached is not said
        (OPUS, Usage(1_000, 1_000, web_searches=-1)),
        ("google:gemini-2.5-flash-image", Usage(1_000, 10, output_image_tokens=11)),
    ],
)
def test_what_cannot_be_priced_is_unknown(route: Route | str, usage: Usage) -> None:
    assert cost(route, usage) is None


def test_a_tier_without_an_exact_price_is_charged_its_upper_bound() -> None:
    """Gemini's priority tier costs "75% to 100% more than standard"."""
    usage = Usage(1_000, 1_000, service_tier="priority")
    assert cost(FLASH, usage) is None
    estimate: Any = PRICES.estimate_on(FLASH, usage)
    assert estimate == pytest.approx(2 * (0.0003 + 0.0025))
    assert "estimate" in estimate.source
    assert PRICES.estimate_on(Route("google:nobody-knows"), usage) is None


class TestHalves:
    @pytest.mark.parametrize("usage", [Usage(), Usage(1_000), Usage(None, 1_000), Usage(cache_read_tokens=5)])
    @pytest.mark.parametrize("route", [OPUS, OWN, "openai:nobody-knows", "openai:gpt-4o"])
    def test_a_usage_without_a_half_has_no_cost(self, route: Route | str, usage: Usage) -> None:
        assert cost(route, usage) is None

    @pytest.mark.parametrize("usage", [Usage(1_000, 0), Usage(0, 1_000), Usage(0, 0)])
    def test_zero_is_a_count(self, usage: Usage) -> None:
        assert cost(OPUS, usage) == (usage.input_tokens or 0) * 5e-6 + (usage.output_tokens or 0) * 25e-6
        assert cost(OWN, usage) == (usage.input_tokens or 0) * 1e-6 + (usage.output_tokens or 0) * 2e-6


class TestStatedCost:
    @pytest.mark.parametrize(
        "route",
        [OPUS, OWN, Route("openai:m", base_url="http://127.0.0.1:9/v1"), Route("openai:gpt-4o", prices="azure")],
    )
    @pytest.mark.parametrize("usage", [Usage(10, 10), Usage(10), Usage(), Usage(0, 0), Usage(10, 10, speed="fast")])
    def test_it_wins(self, route: Route, usage: Usage) -> None:
        for stated in (0.25, 1, 1e-9):
            amount = cost(route, replace(usage, stated_cost=stated))
            assert (amount, amount.source) == (stated, "stated by the provider")
            assert PRICES.estimate_on(route, replace(usage, stated_cost=stated)) == stated

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.01, -5, True, "0.5", 10**400, [], b"1"])
    def test_a_figure_that_is_no_amount_does_not(self, wrong: Any) -> None:
        usage = Usage(1_000, 1_000, stated_cost=wrong)
        assert cost(OPUS, usage) == pytest.approx(0.03)
        assert cost(OWN, usage) == pytest.approx(0.003)
        assert cost(Route("openai:m", base_url="http://127.0.0.1:9/v1"), usage) is None

    def test_nothing_for_tokens_does_not_win_against_a_price(self) -> None:
        for stated in (0, 0.0, -0.0):
            usage = Usage(1_000, 1_000, stated_cost=stated)
            amount = cost(OPUS, usage)
            assert amount == pytest.approx(0.03) and amount.source.startswith("genai-prices")
            assert cost(OWN, usage) == pytest.approx(0.003)

    def test_nothing_wins_against_no_price_and_for_no_tokens(self) -> None:
        unknown = Route("openai:m", base_url="http://127.0.0.1:9/v1")
        for route, usage in ((unknown, Usage(10, 10)), (OPUS, Usage(0, 0)), (OPUS, Usage())):
            amount = cost(route, replace(usage, stated_cost=0.0))
            assert (amount, amount.source) == (0.0, "stated by the provider")

    def test_it_is_that_of_the_whole_answer(self) -> None:
        usage = Usage(10, 10, stated_cost=0.25, other_models=(("nobody-knows", Usage(5, 5)),))
        assert cost(OPUS, usage) == 0.25

    def test_the_local_model_is_free(self) -> None:
        amount = cost("local:smollm2", Usage(10, 10))
        assert (amount, amount.source) == (0.0, "free")


class TestOtherModels:
    def with_others(self, *others: tuple[str, Usage], **more: Any) -> Usage:
        return Usage(1_000, 1_000, other_models=others, **more)

    def test_each_has_its_own_price(self) -> None:
        haiku = Usage(M, 0)
        assert cost("anthropic:claude-haiku-4-5", self.with_others(("claude-opus-5", Usage(2_000, 100)))) == (
            pytest.approx(0.001 + 0.005 + 0.010 + 0.0025)
        )
        assert cost(OPUS, self.with_others(("claude-haiku-4-5", haiku), ("claude-haiku-4-5", haiku))) == (
            pytest.approx(0.03 + 2.0)
        )

    def test_a_picture_that_openais_tool_draws(self) -> None:
        """gpt-image-1.5: $5 in, $8 for pictures; $10 out, $32 for pictures."""
        drawn = Usage(1_550, 515, input_image_tokens=1_521, output_image_tokens=515)
        assert cost(GPT, self.with_others(("gpt-image-1.5", drawn))) == (
            pytest.approx(0.0175 + 29 * 5e-6 + 1_521 * 8e-6 + 515 * 32e-6)
        )

    def test_with_extras_of_its_own(self) -> None:
        fast = Usage(1_000, 1_000, speed="fast", web_searches=1)
        assert cost(OPUS, self.with_others(("claude-opus-5", fast))) == pytest.approx(0.03 + 0.06 + 0.01)
        inner = Usage(1_000, 0, other_models=(("claude-haiku-4-5", Usage(M, 0)),))
        assert cost(OPUS, self.with_others(("claude-opus-5", inner))) == pytest.approx(0.03 + 0.005 + 1.0)

    @pytest.mark.parametrize(
        "other", [("nobody-knows", Usage(1, 1)), ("claude-opus-5", Usage(1)), ("gpt-4o", Usage(1, 1))]
    )
    def test_one_unknown_makes_the_whole_unknown(self, other: tuple[str, Usage]) -> None:
        assert cost(OPUS, self.with_others(("claude-haiku-4-5", Usage(1, 1)), other)) is None
        assert cost(OPUS, Usage(1_000, 1_000)) is not None

    def test_an_unknown_answer_stays_unknown(self) -> None:
        assert cost("anthropic:nobody-knows", self.with_others(("claude-opus-5", Usage(1, 1)))) is None

    def test_at_the_address_that_was_asked(self) -> None:
        bedrock = Route(
            "anthropic:global.anthropic.claude-opus-5", base_url="https://bedrock-runtime.us-east-1.amazonaws.com"
        )
        regional = ("us.anthropic.claude-opus-5", Usage(1_000, 0))  # 10 % dearer
        assert cost(bedrock, self.with_others(regional)) == pytest.approx(0.03 + 0.0055)
        gateway = Route("anthropic:claude-opus-5", base_url="http://127.0.0.1:9")
        assert cost(gateway, self.with_others(("claude-haiku-4-5", Usage(M, 0)))) == pytest.approx(1.03)
        assert cost(gateway, self.with_others(("deepseek-chat", Usage(M, 0)))) is None

    def test_a_routes_own_prices_are_its_own_models(self) -> None:
        own = Route("anthropic:claude-sonnet-5-5", prices={"input": 1, "output": 2})
        assert cost(own, self.with_others(("claude-opus-5", Usage(1_000, 0)))) == pytest.approx(0.003 + 0.005)
        assert cost(OWN, self.with_others(("nobody-knows", Usage(1, 1)))) is None

    def test_estimates_estimate_each(self) -> None:
        route = Route("openai:gpt-4o", base_url="http://127.0.0.1:9/v1")
        usage = self.with_others(("gpt-4.1", Usage(M, 0)))
        assert cost(route, usage) is None
        assert PRICES.estimate_on(route, usage) == pytest.approx(0.0025 + 0.010 + 2.0)
        assert PRICES.estimate_on(route, self.with_others(("qwen3", Usage(1, 1)))) is None


def test_own_prices_know_no_kinds() -> None:
    usage = Usage(
        1_000, 1_000, 400, None, None, 300, 500, 200, cache_read_audio_tokens=100, web_searches=3, speed="fast"
    )
    assert cost(OWN, usage) == pytest.approx((600 + 40 + 2_000) / M)


anything = st.none() | st.integers(-5, 3_000) | st.sampled_from([2**63, 10**30])


@given(
    st.sampled_from([OPUS, FLASH, GPT, OWN, Route("openai:gpt-audio"), Route("google:gemini-3-pro-image-preview")]),
    st.builds(
        Usage,
        *[anything] * 8,
        **{f.name: anything for f in fields(Usage)[9:13]},
        service_tier=st.none() | st.text(max_size=9) | st.sampled_from(["flex", "batch", "BATCH", "priority"]),
        speed=st.none() | st.text(max_size=5) | st.just("fast"),
        stated_cost=st.none() | st.floats() | st.integers(),
    ),
    st.none() | st.text(max_size=9),
)
def test_no_usage_breaks_it(route: Route, usage: Usage, model: str | None) -> None:
    usage = replace(usage, other_models=(("claude-opus-5", usage),) if usage.speed == "fast" else ())
    for amount in (PRICES.cost_on(route, usage, model=model), PRICES.estimate_on(route, usage, model=model)):
        assert amount is None or (math.isfinite(amount) and amount >= 0)


@given(
    st.sampled_from([("anthropic", "claude-opus-5"), ("google", "gemini-2.5-flash"), ("openai", "gpt-5.4"), ("google", "gemini-3-pro-image-preview"), ("google", "gemini-3.1-flash-live-preview"), ("openai", "gpt-realtime")]),
    st.lists(st.integers(0, 3_000), min_size=12, max_size=12),
)  # fmt: skip
def test_extras_cost_what_genai_prices_says(model: tuple[str, str], counts: list[int]) -> None:
    total, output, read, write, hour, thought, heard, spoken, heard_again, seen, drawn, searches = counts
    usage = Usage(total, output, read, write, hour, thought, heard, spoken, None, heard_again, seen, drawn, searches)
    theirs = genai_prices.Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_reasoning_tokens=thought,
        input_audio_tokens=heard,
        output_audio_tokens=spoken,
        cache_audio_read_tokens=heard_again,
        input_image_tokens=seen,
        output_image_tokens=drawn,
        web_searches=searches,
    )
    try:
        expected = float(genai_prices.calc_price(theirs, model[1], provider_id=model[0]).total_price)
    except ValueError:
        expected = None
    assert PRICES.cost(*model, usage) == (None if expected is None else pytest.approx(expected, rel=1e-9))
