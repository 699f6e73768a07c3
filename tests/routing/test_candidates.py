"""Which routes may answer: by rules written a second time here, and by who is then asked."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import AllRoutesFailedError, ConfigurationError, Message, Route, RouteError, Router, Text
from multiroute_core.messages import Blob, File, Raw, Uri, VendorPart
from multiroute_core.options import Options
from multiroute_core.parsing.arguments import build
from multiroute_core.providers.capabilities import RouteCapabilities, supported
from multiroute_core.providers.models import Model
from multiroute_core.routing.candidates import candidates
from multiroute_core.testing import Answer, Fail, VirtualClock, provider_of, run_in_virtual_time, scripted_route
from multiroute_core.testing.scripted import PROVIDER, ScriptedProvider
from tests.examples import examples

TOOL = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
PICTURE = Blob(b"x", "image/png")
CONTENT = {
    "image": PICTURE,
    "document": Blob(b"x", "application/pdf"),
    "audio": Blob(b"x", "audio/wav"),
    "image_url": Uri("https://example.org/a.png"),
    "file:openai": File("f-1", "openai"),
    "wire:anthropic": VendorPart(Raw("anthropic", {"type": "search_result"})),
}

kinds = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["small", "large"]),
        "tags": st.sets(st.sampled_from(["eu", "fast", "new"])),
        "region": st.sampled_from([None, "eu", "us"]),
        "backup": st.sampled_from([False, False, True]),
        "inputs": st.frozensets(st.sampled_from(["image", "document", "audio"])),
        "tools": st.booleans(),
        "window": st.sampled_from([None, 300, 1_000, 5_000, 100_000]),
        "drops": st.sampled_from([(), (), ("seed: it has none",)]),
    }
)
fleets = st.lists(kinds, min_size=1, max_size=5)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["small", "large", "r0", "openai:small", "nobody"]),
        "route_tags": st.frozensets(st.sampled_from(["eu", "fast", "other"]), min_size=1, max_size=2),
        "region": st.sampled_from(["eu", "us", "mars"]),
    },
)
asked_for = st.fixed_dictionaries(
    {
        "size": st.sampled_from([10, 290, 900, 4_900, 90_000, 200_000]),
        "max_tokens": st.sampled_from([None, 5, 50, 2_000]),
        "needs": st.sets(st.sampled_from(["tools", *CONTENT]), max_size=2),
    }
)


def asks(size, max_tokens, needs):
    """A request of about so many tokens."""
    message = Message("user", [_text(size), *(CONTENT[n] for n in sorted(needs - {"tools"}))])
    more = {"tools": [TOOL]} if "tools" in needs else {}
    return build([message], {**more, **({"max_tokens": max_tokens} if max_tokens else {})})[0]


def _text(size):
    return Text("x" * 4 * size)


def fleet(drawn):
    routes = [
        Route(f"openai:{k['model']}", name=f"r{n}", tags=k["tags"], region=k["region"], backup=k["backup"])
        for n, k in enumerate(drawn)
    ]
    facts = {
        f"r{n}": RouteCapabilities(
            "openai.chat", supported("openai", "openai.chat", k["inputs"], tools=k["tools"]), window=k["window"]
        )
        for n, k in enumerate(drawn)
    }
    return routes, facts


def fits(kind, name, wanted, needs, *, strict):
    """Whether a route has all that is asked for, its window aside; the second writing of the rule."""
    carried = {"file:openai", *kind["inputs"]} | ({"tools"} if kind["tools"] else set())
    if "image" in kind["inputs"]:
        carried.add("image_url")
    return (
        wanted.get("model", name) in (name, kind["model"], f"openai:{kind['model']}")
        and wanted.get("route_tags", set()) <= kind["tags"]
        and wanted.get("region", kind["region"]) == kind["region"]
        and needs <= carried
        and not (strict and kind["drops"])
    )


@pytest.mark.slow
@given(fleets, wishes, asked_for, st.booleans())
@settings(max_examples=examples(400), deadline=None)
def test_they_are_those_that_have_all_that_is_asked_for(drawn, wanted, asked, strict):
    (routes, facts), request = fleet(drawn), asks(**asked)
    drops = (lambda r: drawn[int(r.name[1:])]["drops"]) if strict else None
    found = candidates(request, routes, Options(**wanted), facts, drops)
    able = [r for r, k in zip(routes, drawn, strict=True) if fits(k, r.name, wanted, asked["needs"], strict=strict)]
    left = set(found.excluded)
    assert {r.name for r in found.routes} | left == {r.name for r in routes}
    assert not {r.name for r in found.routes} & left
    assert all(found.excluded.values())
    assert list(found.routes) == [r for r in routes if r in found.routes], "in the configured order"
    assert set(found.routes) <= set(able)
    if not able:
        assert found.problem
        return
    assert found.problem is None
    windows = {r.name: facts[r.name].window or math.inf for r in able}
    whole = found.tokens + (asked["max_tokens"] or 256)
    fit = {r.name for r in able if windows[r.name] >= (found.tokens if r.backup else whole)}
    first = [r.name for r in able if not r.backup] or [r.name for r in able]
    if fit.intersection(first):
        assert {r.name for r in found.routes} == fit
    else:  # all are too small: the largest of those that count stay, and whoever fits
        widest = max(windows[name] for name in first)
        assert {r.name for r in found.routes} == fit | {name for name, window in windows.items() if window >= widest}


class Choosy(ScriptedProvider):
    """A provider that cannot take everything."""

    dropped = ()

    def encode(self, request, route, *, stream):
        return replace(super().encode(request, route, stream=stream), dropped=self.dropped)


@pytest.mark.slow
@given(fleets, wishes, asked_for, st.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_a_filtered_route_is_never_tried_and_every_other_is(drawn, wanted, asked, strict):
    routes = []
    for n, kind in enumerate(drawn):
        model = Model(PROVIDER, "*", window=kind["window"], inputs=kind["inputs"], tools=kind["tools"])
        provider = Choosy(Fail(), model=model)
        provider.dropped = kind["drops"]
        more = {"tags": kind["tags"], "region": kind["region"], "backup": kind["backup"]}
        routes.append(Route(f"{PROVIDER}:{kind['model']}", name=f"r{n}", llm=provider, **more))
    router, request = Router(routes, strict_params=strict, max_retries=1), asks(**asked)
    clock = VirtualClock()
    run_in_virtual_time(router, clock)
    for route in routes:
        provider_of(route).sleep = clock.sleep
    if "openai" in wanted.get("model", ""):
        wanted = wanted | {"model": f"{PROVIDER}:small"}
    call = {"tools": [TOOL]} if "tools" in asked["needs"] else {}
    call |= {"max_tokens": asked["max_tokens"]} if asked["max_tokens"] else {}
    told = router.explain(request.messages, **call, **wanted)
    with pytest.raises((ConfigurationError, AllRoutesFailedError, RouteError)):
        router.generate(request.messages, **call, **wanted)
    tried = {r.name for r in routes if provider_of(r).takes}
    assert tried == {row.route for row in told.rows if row.candidate}
    for row in told.rows:
        kind, name = drawn[int(row.route[1:])], row.route
        own = {**wanted, "model": wanted["model"].replace(PROVIDER, "openai")} if "model" in wanted else wanted
        needs = asked["needs"] - {"file:openai"}
        if not fits(kind, name, own, needs, strict=strict) or "file:openai" in asked["needs"]:
            assert name not in tried, f"{name} lacks something: {row.reasons}"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"model": "gpt-6-lune"}, "did you mean 'gpt-6-luna'"),
        ({"route_tags": ["no-such"]}, r"No route has all of route_tags=\['no-such'\].*'eu', 'fast'"),
        ({"region": "mars"}, r"No route is in region='mars'; the routes' regions are \['eu'\]"),
    ],
)
def test_where_nobody_is_left_the_sentence_says_what_there_is(wanted, sentence):
    route = scripted_route("gpt-6-luna", Answer(), tags={"eu", "fast"}, region="eu")
    with pytest.raises(ConfigurationError, match=sentence):
        Router([route]).generate("Hello", **wanted)
    assert not provider_of(route).takes


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"model": "b"}, "it is not the requested model 'b'"),
        ({"route_tags": {"eu", "fast"}}, "it does not have the tags eu, fast"),
        ({"region": "eu"}, "it is in no region, not 'eu'"),
        ({"needs": [PICTURE]}, "it does not support image"),
        ({"needs": [CONTENT["image_url"]]}, "it does not support image by URL"),
        ({"size": 2_000}, "its context window of 1,000 tokens is too small for about 2,005 and an answer of 256"),
    ],
)
def test_a_reason_is_a_sentence(wanted, reason):
    wanted = dict(wanted)
    content = [_text(wanted.pop("size", 1)), *wanted.pop("needs", ())]
    small = Model(PROVIDER, "*", window=1_000, inputs=frozenset())
    routes = [
        scripted_route("a", Answer(), model=small),
        scripted_route("b", Answer(), tags={"eu", "fast"}, region="eu"),
    ]
    rows = {row.route: row for row in Router(routes).explain([Message("user", content)], **wanted).rows}
    assert rows["a"].reasons == (reason,)
    assert rows["b"].candidate
