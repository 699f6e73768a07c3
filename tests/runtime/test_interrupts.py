"""What an interrupt leaves behind at one certain place; tests/interrupts searches all places at random."""

import threading
from typing import Any

import pytest

from multiroute_core import Route, Router
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.chat_server import answer


class StrandedLock:
    """A lock whose first `acquire` is interrupted when it has succeeded."""

    def __init__(self):
        self.inner: Any = threading.RLock()
        self.interrupts = 1

    def acquire(self):
        self.inner.acquire()
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt

    def release(self):
        self.inner.release()

    def _is_owned(self):
        return self.inner._is_owned()


@pytest.mark.parametrize("stream", [False, True])
def test_the_lock_of_a_cookie_jar_is_free_again(stream):
    def reply_with_cookie(received: Received) -> Reply:
        """Without a cookie the jar is not used."""
        plain = answer("Hello", "m")(received)
        return Reply(200, {**plain.headers, "set-cookie": "session=7"}, plain.body, stream=plain.stream)

    with ReplayServer(reply_with_cookie) as server:
        router = Router([Route("openai:m", base_url=f"{server.url}/v1", api_key="k")])
        assert router.generate("Hi").text == "Hello"
        provider: Any = next(iter(router._parts.providers.values()))
        jar = provider._clients.blocking().http.cookies.jar
        jar._cookies_lock = StrandedLock()
        with pytest.raises(KeyboardInterrupt):
            list(router.stream("Hi")) if stream else router.generate("Hi")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(router.generate("Hi").text), daemon=True)
        thread.start()
        thread.join(30)
        assert answers == ["Hello"]
