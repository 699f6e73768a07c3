"""Both SDKs, and the newer one without its low-level door, each before a real server."""

import importlib.util

import pytest

from multiroute_core.testing.server import ReplayServer
from tests.providers.google.gemini import ANSWER, plain

MODES = ("genai", "typed", "legacy")


def installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # google itself is not there
        return False


@pytest.fixture(scope="session")
def running():
    with ReplayServer() as server:
        yield server


@pytest.fixture
def server(running):
    running.serve(plain(ANSWER))
    running.requests.clear()
    return running


@pytest.fixture(params=MODES)
def sdk(request):
    if not installed("google.generativeai" if request.param == "legacy" else "google.genai"):
        pytest.skip(f"the SDK of {request.param} is not installed")
    return request.param


@pytest.fixture
def make(sdk, monkeypatch):
    """Makes a provider; those of one test are closed at its end."""
    made = []

    def make(base_url, key="k"):
        if sdk == "legacy":
            from multiroute_core.providers.google.legacy import LegacyProvider

            made.append(LegacyProvider(key, base_url))
            return made[-1]
        from multiroute_core.providers.google import genai

        if sdk == "typed":  # take the low-level calls away, as a later version of the SDK may do
            monkeypatch.setattr(genai, "_LOW_LEVEL_CALLS", ("no_such_call",))
        made.append(genai.GenaiProvider(key, base_url))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(make, server):
    return make(server.url)


@pytest.fixture(params=("sync", "async"))
def world(request):
    return request.param


@pytest.fixture(params=("whole", "streamed"))
def kind(request):
    return request.param
