"""A chat page in one file: the answer streams, and the page shows who answers, what it costs, and every failover.

pip install 'multiroute-llm[openai,anthropic,serve]'
python examples/chat_page.py          # the providers whose API keys are set
python examples/chat_page.py --demo   # no key: scripted models, the first of which breaks in the middle of each answer

Then open http://127.0.0.1:8000. The browser reads server-sent events: those of `multiroute_core.serving.EventStream`,
and `attempt` events, which a hook of the router fills.
"""

import argparse
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route as Path

from multiroute_core import AttemptEnded, AttemptStarted, Chunk, FirstToken, MultiRouteError, Router, Usage
from multiroute_core.serving import ChunkWriter, EventStream, http_error

LONGEST = 200_000
"""Characters of a conversation that the page may send."""


class LiveAttempts:
    """A hook that keeps what happens to the attempts of one call, until it is sent along."""

    event_types = (AttemptStarted, FirstToken, AttemptEnded)

    def __init__(self) -> None:
        self.events: deque[dict[str, Any]] = deque()

    def __call__(self, event: Any) -> None:
        """Note an event."""
        if isinstance(event, AttemptStarted):
            self.events.append({"route": event.route, "state": "asked"})
        elif isinstance(event, FirstToken):
            self.events.append({"route": event.route, "state": "answers", "seconds": event.seconds})
        else:
            attempt = event.attempt
            self.events.append({"route": attempt.route, "state": attempt.outcome, "seconds": attempt.seconds})


class PageWriter:
    """Writes the events of the attempts between the chunks."""

    def __init__(self, attempts: LiveAttempts) -> None:
        self._attempts = attempts
        self._chunks = ChunkWriter()
        self.fail = self._chunks.fail

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk, and of what has happened before it."""
        frames = b""
        while self._attempts.events:
            frames += b"event: attempt\ndata: " + json.dumps(self._attempts.events.popleft()).encode() + b"\n\n"
        return frames + self._chunks.feed(chunk)


def build(router: Router) -> Starlette:
    """Build the application around a router."""

    async def show_page(_: Request) -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        return HTMLResponse(PAGE, headers={"content-security-policy": policy})

    async def list_routes(_: Request) -> JSONResponse:
        return JSONResponse([{"name": route.name, "model": route.model} for route in router.routes])

    async def chat(request: Request) -> Any:
        try:
            body = await request.json()
            messages = [(str(turn["role"]), str(turn["content"])) for turn in body["messages"]]
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": {"message": "Send {'messages': [{'role': …, 'content': …}]}."}}, 400)
        if sum(len(text) for _, text in messages) > LONGEST:
            return JSONResponse({"error": {"message": "The conversation is too long."}}, 413)
        attempts = LiveAttempts()
        try:
            chunks = router.with_hooks(attempts).astream(messages)
        except MultiRouteError as error:
            status, headers, failure = http_error(error)
            return JSONResponse(failure, status, headers)
        return EventStream(chunks, writer=PageWriter(attempts))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await router.aclose()

    paths = [Path("/", show_page), Path("/routes", list_routes), Path("/chat", chat, methods=["POST"])]
    return Starlette(routes=paths, lifespan=lifespan)


def build_demo_router() -> Router:
    """A router over scripted models: the first breaks after some words, and the second goes on."""
    from multiroute_core.testing import Answer, DropConnection, scripted_route

    words = [f"{word} " for word in DEMO.split()]
    begun = DropConnection(after=18, answer=Answer(words, per_chunk=0.06), usage=Usage(12, 24))
    first = scripted_route("anthropic", begun, prices={"input": 3.0, "output": 15.0})
    second = scripted_route("openai", Answer(words[18:], per_chunk=0.06), prices={"input": 2.0, "output": 8.0})
    return Router([first, second], on_stream_error="continue")


DEMO = (
    "A router asks one provider after another until one answers. This sentence began at the first provider, which has "
    "just hung up in the middle of it, and the second one goes on from there, so that you can read on as if nothing "
    "had happened. The bar above shows both attempts, and the line below what they cost."
)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MultiRoute chat</title>
<style>
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem;
         display: flex; flex-direction: column; min-height: 100vh; box-sizing: border-box; }
  #routes { display: flex; flex-wrap: wrap; gap: .5rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line); }
  .route { border: 1px solid var(--line); border-radius: 1rem; padding: .1rem .75rem; font-size: .85rem; }
  .route.asked { border-style: dashed; }
  .route.answers { background: #2563eb; color: #fff; border-color: #2563eb; }
  .route.success { background: #15803d; color: #fff; border-color: #15803d; }
  .route.failed { background: #b91c1c; color: #fff; border-color: #b91c1c; }
  #log { flex: 1; padding: 1rem 0; }
  .turn { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 1rem; }
  .user { border-left: 3px solid #2563eb; padding-left: .75rem; }
  .note { font-size: .8rem; opacity: .75; margin: -.75rem 0 1rem; }
  .break { color: #b91c1c; font-size: .8rem; }
  form { display: flex; gap: .5rem; position: sticky; bottom: 0; padding: .75rem 0; background: Canvas; }
  textarea { flex: 1; font: inherit; padding: .5rem; resize: vertical; min-height: 2.5rem; }
  button { font: inherit; padding: 0 1rem; }
</style>
<header id="routes" aria-label="Routes"></header>
<main id="log" aria-live="polite"></main>
<form id="form">
  <textarea id="text" rows="2" placeholder="Ask something" aria-label="Message" required></textarea>
  <button id="send">Send</button>
  <button id="stop" type="button" disabled>Stop</button>
</form>
<script>
const turns = [];
let controller = null;
let total = 0;
const find = (id) => document.getElementById(id);
const add = (parent, name, text, tag = "div") => {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  parent.append(element);
  return element;
};
const chips = {};
fetch("/routes").then((reply) => reply.json()).then((routes) => {
  for (const route of routes) chips[route.name] = add(find("routes"), "route", route.name);
});
const mark = (name, state, text) => {
  if (!chips[name]) return;
  chips[name].className = "route " + state;
  chips[name].textContent = text ? name + ": " + text : name;
};
const seconds = (value) => value === undefined || value === null ? "" : " after " + value.toFixed(1) + " s";

async function* read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    let end;
    while ((end = buffer.indexOf("\\n\\n")) >= 0) {
      const frame = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      const name = /^event: (.*)$/m.exec(frame);
      const data = /^data: (.*)$/m.exec(frame);
      if (data) yield [name ? name[1] : "chunk", JSON.parse(data[1])];
    }
  }
}

async function ask(text) {
  turns.push({ role: "user", content: text });
  add(find("log"), "turn user", text);
  const answer = add(find("log"), "turn", "");
  let plain = "";
  let broken = null;
  for (const name of Object.keys(chips)) mark(name, "", "");
  controller = new AbortController();
  find("stop").disabled = false;
  find("send").disabled = true;
  try {
    const reply = await fetch("/chat", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages: turns }),
      signal: controller.signal,
    });
    if (!reply.ok) throw new Error((await reply.json()).error.message);
    for await (const [name, data] of read(reply.body)) {
      if (name === "attempt") {
        if (data.state === "asked") {
          mark(data.route, "asked", "asked");
          if (broken) add(answer, "break", " [" + broken + " broke off, " + data.route + " goes on] ", "span");
        } else if (data.state === "answers") {
          mark(data.route, "answers", "answers" + seconds(data.seconds));
        } else if (data.state === "success") {
          mark(data.route, "success", "answered" + seconds(data.seconds));
        } else {
          mark(data.route, "failed", data.state.replace("_", " ") + seconds(data.seconds));
          broken = plain ? data.route : null;
        }
      } else if (name === "chunk") {
        if (data.restarted) { answer.textContent = ""; plain = ""; }
        if (data.text) { plain += data.text; answer.append(data.text); }
      } else if (name === "done") {
        // What a broken answer cost is not told by the provider, so it is estimated.
        const sum = (name) => data.attempts.reduce((all, attempt) => all + (attempt[name] || 0), 0);
        const cost = data.cost === null ? sum("cost") + sum("estimated_cost") : data.cost;
        total += cost;
        add(find("log"), "note", data.route + ", " + (data.cost === null ? "about " : "") + cost.toFixed(6) + " USD, " +
          data.attempts.length + " attempt(s); together " + total.toFixed(6) + " USD");
      } else if (name === "error") {
        throw new Error(data.error.message);
      }
    }
  } catch (error) {
    add(find("log"), "note", error.name === "AbortError" ? "Stopped." : error.message);
  }
  turns.push({ role: "assistant", content: plain || "…" });
  controller = null;
  find("stop").disabled = true;
  find("send").disabled = false;
}

find("stop").addEventListener("click", () => controller && controller.abort());
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); find("form").requestSubmit(); }
});
find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text || controller) return;
  find("text").value = "";
  ask(text);
});
</script>
</html>
"""


def main() -> None:
    """Serve the page on this machine."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true", help="scripted models, no API key")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    router = build_demo_router() if arguments.demo else Router(on_stream_error="continue")
    uvicorn.run(build(router), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
