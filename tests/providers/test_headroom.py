"""Rate-limit headers: as the vendors really sent them, as they may be written, and as junk."""

import math
import string
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.providers.headroom import LONGEST_SECONDS, headroom
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders, take
from tests.examples import examples
from tests.providers.reading import needs_recordings, recordings

NOW, WALL = 50.0, 1_775_384_633.25
LEVELS = ("requests", "tokens", "input_tokens", "output_tokens")

# Some of the sets that were recorded, with what they say by the vendors' own pages.
OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "199227",
    "x-ratelimit-reset-tokens": "231ms",
}
AZURE = {
    "x-ratelimit-limit-requests": "120",
    "x-ratelimit-remaining-requests": "119",
    "x-ratelimit-renewalperiod-requests": "60",
    "x-ratelimit-reset-requests": "500",
}


def spelled(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")


def anthropic(what: str, limit: object, remaining: object, reset: str) -> dict[str, str]:
    start = f"anthropic-ratelimit-{what}"
    return {f"{start}-limit": str(limit), f"{start}-remaining": str(remaining), f"{start}-reset": reset}


def openai(what: str, limit: object, remaining: object, reset: str) -> dict[str, str]:
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-{what}": str(value) for name, value in told.items()}


def told(found: RateLimitHeaders | None) -> dict[str, Level]:
    levels = {name: getattr(found, name, None) for name in LEVELS}
    return {name: level for name, level in levels.items() if level is not None}


def sane(found: RateLimitHeaders | None) -> None:
    assert found is None or told(found), "nothing is None"
    for level in told(found).values():
        assert all(math.isfinite(n) for n in (level.remaining, level.limit, level.reset, level.at))
        assert 0.0 <= level.remaining <= level.limit
        assert level.at == NOW < level.reset <= NOW + LONGEST_SECONDS + 1.0
        assert level.spent == 0.0
    if found is not None:
        _, wait = take(found, NOW, 1e9)
        assert 0.0 <= wait <= 60.0


def test_openai():
    assert headroom(OPENAI, NOW, WALL) == RateLimitHeaders(
        Level(499.0, 500.0, NOW + 0.12, NOW), Level(199227.0, 200000.0, NOW + 0.231, NOW)
    )


def test_azure_tells_milliseconds_without_a_unit():
    """One of 120 a minute comes back in 500 ms."""
    assert headroom(AZURE, NOW, WALL) == RateLimitHeaders(Level(119.0, 120.0, NOW + 0.5, NOW))


def test_a_bare_number_elsewhere_is_seconds():
    assert told(headroom(openai("requests", 10, 3, "7"), NOW, WALL))["requests"].reset == NOW + 7.0


@needs_recordings
def test_every_recorded_set_is_understood():
    """A limit that is told whole, with its reset, is known; and what is refilled by the reset is about what is missing."""
    seen = 0
    for each in recordings().values():
        for what, name in (
            ("requests", "requests"),
            ("tokens", "tokens"),
            ("input-tokens", "input_tokens"),
            ("output-tokens", "output_tokens"),
        ):
            start = f"anthropic-ratelimit-{what}"
            names = [f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining", "reset")]
            if start + "-limit" in each.headers:
                names = [f"{start}-{part}" for part in ("limit", "remaining", "reset")]
            if not all(header in each.headers for header in names):
                continue
            limit, remaining, reset = (each.headers[header] for header in names)
            wall = datetime.fromisoformat(reset).timestamp() - 0.5 if reset.endswith("Z") else WALL
            level = told(headroom(each.headers, NOW, wall))[name]
            assert (level.limit, level.remaining) == (float(limit), float(remaining))
            missing_share = (level.limit - level.remaining) / level.limit
            assert missing_share * 60.0 == pytest.approx(level.reset - NOW, abs=1.1)
            seen += 1
    assert seen > 50


@needs_recordings
def test_recorded_replies_without_limits_tell_nothing():
    bare = [each for each in recordings().values() if not any("ratelimit" in name for name in each.headers)]
    assert bare
    for each in bare:
        assert headroom(each.headers, NOW, WALL) is None
        assert headroom(httpx.Headers(each.headers), NOW, WALL) is None


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 999), st.integers(0, 23))
def test_spans_as_go_writes_them(minutes, seconds, millis, hours):
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis).total_seconds()
    whole = f"{seconds}.{millis:03}s" if millis else f"{seconds}s"
    if hours:
        text = f"{hours}h{minutes}m{whole}"
    elif minutes:
        text = f"{minutes}m{whole}"
    else:
        text = whole if seconds else f"{millis}ms"
    level = told(headroom(openai("tokens", 1000, 10, text), NOW, WALL))["tokens"]
    assert level.reset - NOW == pytest.approx(max(span, 0.001))


@given(st.floats(0.01, LONGEST_SECONDS), st.sampled_from(["Z", "+02:00", "-07:30"]))
def test_moments_in_every_time_zone(seconds, zone):
    offset = {"Z": 0, "+02:00": 120, "-07:30": -450}[zone]
    moment = datetime.fromtimestamp(WALL + seconds, timezone(timedelta(minutes=offset)))
    text = moment.isoformat().replace("+00:00", "Z")
    found = told(headroom(anthropic("output-tokens", 800, 10, text), NOW, WALL))
    assert found["output_tokens"].reset - NOW == pytest.approx(seconds, abs=1e-3)


def test_a_moment_told_in_whole_seconds_may_be_just_past():
    found = told(headroom(anthropic("requests", 50, 49, "2026-04-05T10:23:53Z"), NOW, WALL))
    assert found["requests"].reset - NOW < 0.01
    assert headroom(anthropic("requests", 50, 49, "2026-04-05T10:23:52Z"), NOW, WALL) is None


GOOD = st.sampled_from(["100", "0", "7", "3.5"])
BAD = st.sampled_from(
    ["", "-1", "nan", "inf", "-inf", "1e3", "0x10", "1_000", "٣", "9" * 400, "many", "1,000", "None", "5 5"]
)
LATE = st.sampled_from(
    ["-1s", "-2", "1x", "s", "ms", "6m0", "1s1", "1.s", "4000000000", "1775384633", "99999d", "1h-2m"]
)
NEVER = st.sampled_from(
    [
        "2020-01-01T00:00:00Z",
        "2026-04-05",
        "2026-04-05T10:24:00",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "10:24",
    ]
)


@given(BAD)
def test_a_number_that_is_none_tells_nothing(bad):
    assert headroom(openai("requests", bad, "1", "1s"), NOW, WALL) is None
    assert headroom(openai("requests", "10", bad, "1s"), NOW, WALL) is None
    assert headroom(openai("requests", "10", "1", bad), NOW, WALL) is None


@given(st.sampled_from([openai, anthropic]), st.sampled_from(["requests", "tokens"]))
def test_more_left_than_there_is_tells_nothing(vendor, what):
    reset = "5s" if vendor is openai else spelled(WALL + 5)
    assert headroom(vendor(what, 10, 11, reset), NOW, WALL) is None
    assert headroom(vendor(what, 0, 0, reset), NOW, WALL) is None
    assert headroom(vendor(what, 10, 10, reset), NOW, WALL) is not None


@given(LATE)
def test_a_span_that_is_none_tells_nothing(reset):
    assert headroom(openai("requests", "10", "1", reset), NOW, WALL) is None


@given(NEVER | BAD)
def test_a_moment_that_is_none_tells_nothing(reset):
    assert headroom(anthropic("requests", "10", "1", reset), NOW, WALL) is None


@given(
    st.sampled_from([openai, anthropic]),
    st.sampled_from(["limit", "remaining", "reset"]),
    st.sampled_from(["requests", "tokens"]),
)
def test_a_third_of_it_missing_tells_nothing(vendor, missing, what):
    reset = "5s" if vendor is openai else spelled(WALL + 5)
    headers = {name: value for name, value in vendor(what, 10, 1, reset).items() if missing not in name.split("-")}
    assert headroom(headers, NOW, WALL) is None


@pytest.mark.slow
@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *OPENAI,
                *AZURE,
                *anthropic("tokens", 1, 1, ""),
                *anthropic("input-tokens", 1, 1, ""),
                "RateLimit",
                "ratelimit-policy",
            ]
        )
        | st.text(string.printable, max_size=30).map("x-ratelimit-".__add__),
        GOOD
        | BAD
        | LATE
        | NEVER
        | st.text(max_size=60)
        | st.sampled_from(['"a";r=1;t=1', '"a";q=2;w=60', '"', '"a";r=-1', ';;"a";q="']),
    ),
)
def test_junk_tells_nothing_absurd_and_raises_nothing(headers):
    sane(headroom(headers, NOW, WALL))


@given(st.lists(st.sampled_from([str.lower, str.upper, str.title, str.swapcase]), min_size=10, max_size=10))
def test_names_come_in_any_case_and_in_any_mapping(cases):
    headers = {**OPENAI, **anthropic("input-tokens", 100, 50, spelled(WALL + 5)), "content-type": "text/plain"}
    mixed = {case(name): value for case, (name, value) in zip(cases, headers.items(), strict=True)}
    found = headroom(headers, NOW, WALL)
    assert set(told(found)) == {"requests", "tokens", "input_tokens"}
    assert headroom(mixed, NOW, WALL) == found
    assert headroom(httpx.Headers(mixed), NOW, WALL) == found


def test_the_drafts_tightest_policy_of_requests():
    headers = {
        "RateLimit-Policy": '"burst";q=100;w=60, "daily";q=1000;qu="requests";w=86400, "size";q=9;qu="content-bytes";w=1',
        "RateLimit": '"burst";r=50;t=30, "daily";r=7;t=4000, "size";r=1;t=1',
    }
    assert headroom(headers, NOW, WALL) == RateLimitHeaders(Level(7.0, 1000.0, NOW + 4000.0, NOW))
    assert headroom({"RateLimit": headers["RateLimit"]}, NOW, WALL) is None, "without a policy its size is not known"
    assert headroom({"RateLimit-Policy": headers["RateLimit-Policy"]}, NOW, WALL) is None
