// The `@anthropic-ai/sdk` package.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import {
  assert, clock, collect, equal, except, failure, HELLO, includes, LONG, Nested, NOTHING, ONE, onlyThrough, PDF, Person,
  PERSON, PICTURE_URL, PIXEL, STEPS, TWO, weather, WEATHER, z,
} from "./common.mjs";

const MODEL = "claude-sonnet-4-6";
const open = (at, more = {}) => new Anthropic({ apiKey: at.key, baseURL: at.url, maxRetries: 0, ...more });
const ask = (content) => [{ role: "user", content }];
const create = (at, body) => open(at).messages.create({ model: MODEL, max_tokens: 2000, ...body });
const stream = (at, body) => open(at).messages.stream({ model: MODEL, max_tokens: 2000, ...body });
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");

const TOOLS = [
  { name: "weather", description: "The weather of a city", input_schema: WEATHER },
  { name: "clock", description: "The time", input_schema: NOTHING },
];
const RUNNABLE = () => [
  betaZodTool({ name: "weather", description: "The weather of a city", inputSchema: z.object({ city: z.string() }), run: weather }),
  betaZodTool({ name: "clock", description: "The time", inputSchema: z.object({}), run: clock }),
];
const THINKING = { type: "enabled", budget_tokens: 1024 };
const HIDDEN = { chat: "Chat Completions does not show reasoning" };

function checkUsage(usage) {
  assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, JSON.stringify(usage));
}

async function loop(at, more, next) {
  const messages = ask(STEPS);
  for (let i = 0; i < 4; i++) {
    const message = await next(at, { messages, tools: TOOLS, ...more });
    const calls = callsOf(message);
    if (!calls.length) {
      includes(textOf(message), "It is noon");
      return i;
    }
    equal(message.stop_reason, "tool_use");
    const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: call.name === "weather" ? weather(call.input) : clock() }));
    messages.push({ role: "assistant", content: message.content }, { role: "user", content: results });
  }
  throw new Error("the loop has no end");
}

const anthropic = {
  "plain": async (at) => {
    const message = await create(at, { messages: ask(HELLO), system: "Be kind." });
    includes(textOf(message), "Hello");
    equal([message.role, message.type, message.stop_reason, message.stop_sequence], ["assistant", "message", "end_turn", null]);
    checkUsage(message.usage);
    assert.ok(message._request_id || at.isDirect);
  },
  "stream": async (at) => {
    const events = await collect(await create(at, { messages: ask(HELLO), stream: true }));
    includes(events.filter((event) => event.delta?.type === "text_delta").map((event) => event.delta.text).join(""), "Say hello.");
    equal([events[0].type, events.at(-1).type], ["message_start", "message_stop"]);
    const starts = events.filter((event) => event.type === "content_block_start").map((event) => event.index);
    equal(starts, events.filter((event) => event.type === "content_block_stop").map((event) => event.index));
  },
  "stream helper": async (at) => {
    const texts = [];
    const message = await stream(at, { messages: ask(HELLO) }).on("text", (text) => texts.push(text)).finalMessage();
    equal(texts.join(""), textOf(message));
    checkUsage(message.usage);
    return message.usage;
  },
  "one tool": async (at) => {
    const message = await create(at, { messages: ask(ONE), tools: TOOLS });
    equal(callsOf(message).map((call) => [call.name, call.input]), [["weather", { city: "Paris" }]]);
    equal(message.stop_reason, "tool_use");
  },
  "parallel tools": async (at) => {
    const message = await create(at, { messages: ask(TWO), tools: TOOLS });
    equal(callsOf(message).map((call) => call.input.city), ["Paris", "Rome"]);
  },
  "no parallel tools": except({ google: "Gemini has no such setting" }, async (at) => {
    const message = await create(at, { messages: ask(TWO), tools: TOOLS, tool_choice: { type: "auto", disable_parallel_tool_use: true } });
    equal(callsOf(message).length, 1);
  }),
  "streamed tools": async (at) => {
    const pieces = [];
    const message = await stream(at, { messages: ask(TWO), tools: TOOLS }).on("inputJson", (piece) => pieces.push(piece)).finalMessage();
    equal(callsOf(message).map((call) => call.input.city), ["Paris", "Rome"]);
    assert.ok(pieces.length > 1);
    equal(new Set(callsOf(message).map((call) => call.id)).size, 2);
  },
  "tool without arguments": async (at) => {
    equal(callsOf(await create(at, { messages: ask("Use clock()."), tools: TOOLS }))[0].input, {});
    equal(callsOf(await stream(at, { messages: ask("Use clock()."), tools: TOOLS }).finalMessage())[0].input, {});
  },
  "tool choices": async (at) => {
    const named = await create(at, { messages: ask("Paris?"), tools: TOOLS, tool_choice: { type: "tool", name: "weather" } });
    equal(callsOf(named)[0].name, "weather");
    assert.ok(callsOf(await create(at, { messages: ask("Paris?"), tools: TOOLS, tool_choice: { type: "any" } })).length);
    equal(callsOf(await create(at, { messages: ask(ONE), tools: TOOLS, tool_choice: { type: "none" } })), []);
  },
  "tool loop": async (at) => equal(await loop(at, {}, create), 2),
  "streamed tool loop": async (at) => equal(await loop(at, {}, (place, body) => stream(place, body).finalMessage()), 2),
  "tool runner": async (at) => {
    const runner = open(at).beta.messages.toolRunner({ model: MODEL, max_tokens: 2000, messages: ask(STEPS), tools: RUNNABLE() });
    includes(textOf(await runner), "It is noon");
  },
  "streamed tool runner": async (at) => {
    const runner = open(at).beta.messages.toolRunner({ model: MODEL, max_tokens: 2000, messages: ask(STEPS), tools: RUNNABLE(), stream: true });
    let last;
    for await (const turn of runner) last = await turn.finalMessage();
    includes(textOf(last), "It is noon");
  },
  "structured output": async (at) => {
    for (const form of [Person, Nested]) {
      const message = await open(at).messages.parse({ model: MODEL, max_tokens: 2000, messages: ask(PERSON), output_config: { format: zodOutputFormat(form) } });
      form.parse(message.parsed_output);
    }
  },
  "streamed structured output": async (at) => {
    const message = await stream(at, { messages: ask(PERSON), output_config: { format: zodOutputFormat(Person) } }).finalMessage();
    Person.parse(message.parsed_output);
  },
  "image as base64": async (at) => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
    includes(textOf(await create(at, { messages: ask([{ type: "text", text: "What?" }, image]) })), "an image");
  },
  "image by URL": async (at) => {
    const image = { type: "image", source: { type: "url", url: PICTURE_URL } };
    includes(textOf(await create(at, { messages: ask([{ type: "text", text: "What?" }, image]) })), "image");
  },
  "document": async (at) => {
    const document = { type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF }, title: "A" };
    includes(textOf(await create(at, { messages: ask([document, { type: "text", text: "What?" }]) })), "a document");
  },
  "image as a tool's result": except({ chat: "Chat Completions takes none" }, async (at) => {
    const first = await create(at, { messages: ask(ONE), tools: TOOLS });
    const content = [{ type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } }];
    const result = { type: "tool_result", tool_use_id: callsOf(first)[0].id, content };
    const messages = [...ask(ONE), { role: "assistant", content: first.content }, { role: "user", content: [result] }];
    includes(textOf(await create(at, { messages, tools: TOOLS })), "an image");
  }),
  "failed tool": async (at) => {
    const first = await create(at, { messages: ask(ONE), tools: TOOLS });
    const result = { type: "tool_result", tool_use_id: callsOf(first)[0].id, content: "error: no such city", is_error: true };
    const messages = [...ask(ONE), { role: "assistant", content: first.content }, { role: "user", content: [result] }];
    includes(textOf(await create(at, { messages, tools: TOOLS })), "no such city");
  },
  "stop sequence": except({ responses: "the Responses API has none" }, async (at) => {
    const message = await create(at, { messages: ask(HELLO), stop_sequences: ["how"] });
    equal(textOf(message), "Hello, ");
    return message.stop_reason;
  }),
  "length": async (at) => {
    equal((await create(at, { messages: ask(LONG), max_tokens: 16 })).stop_reason, "max_tokens");
  },
  "thinking": except(HIDDEN, async (at) => {
    const message = await create(at, { messages: ask(HELLO), thinking: THINKING });
    includes(message.content[0].thinking, "The user asks");
  }),
  "streamed thinking": except(HIDDEN, async (at) => {
    const pieces = [];
    const message = await stream(at, { messages: ask(HELLO), thinking: THINKING }).on("thinking", (piece) => pieces.push(piece)).finalMessage();
    includes(pieces.join(""), "The user asks");
    equal(message.content[0].thinking, pieces.join(""));
  }),
  "thinking in a tool loop": async (at) => {
    equal(await loop(at, { thinking: THINKING }, create), 2);
    equal(await loop(at, { thinking: THINKING }, (place, body) => stream(place, body).finalMessage()), 2);
  },
  "prompt cache": async (at) => {
    const system = [{ type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } }];
    includes(textOf(await create(at, { messages: ask(HELLO), system })), "Hello");
  },
  "wrong key": async (at) => {
    const error = await failure(() => open(at, { apiKey: "wrong" }).messages.create({ model: MODEL, max_tokens: 9, messages: ask(HELLO) }));
    assert.ok(error instanceof Anthropic.AuthenticationError, String(error));
    equal(error.type ?? error.error.error.type, at.isDirect ? error.type ?? error.error.error.type : "authentication_error");
  },
  "unknown model": async (at) => {
    const error = await failure(() => create(at, { model: "no-such-model", messages: ask(HELLO) }));
    assert.ok(error instanceof Anthropic.NotFoundError, String(error));
    equal(error.error.error.type, "not_found_error");
  },
  "rejected request": async (at) => {
    const { question, model } = at.order("rejected", MODEL);
    const error = await failure(() => create(at, { model, messages: ask(question) }));
    assert.ok(error instanceof Anthropic.BadRequestError, String(error));
    equal(error.error.error.type, "invalid_request_error");
  },
  "rate limit": async (at) => {
    const { question, model } = at.order("limited", MODEL);
    const error = await failure(() => create(at, { model, messages: ask(question) }));
    assert.ok(error instanceof Anthropic.RateLimitError, String(error));
    equal([error.headers.get("retry-after"), error.error.error.type], ["1", "rate_limit_error"]);
  },
  "rate limit, retried": async (at) => {
    const { name, question, model } = at.order("limited_once", MODEL);
    await open(at, { maxRetries: 2 }).messages.create({ model, max_tokens: 99, messages: ask(question) });
    equal((await at.state(name)).calls, 2);
  },
  "overloaded": async (at) => {
    const { question, model } = at.order("busy", MODEL);
    const error = await failure(() => create(at, { model, messages: ask(question) }));
    assert.ok(error instanceof Anthropic.InternalServerError && error.status === 529, String(error));
  },
  "server error": async (at) => {
    const { question, model } = at.order("broken", MODEL);
    const error = await failure(() => create(at, { model, messages: ask(question) }));
    assert.ok(error instanceof Anthropic.InternalServerError, String(error));
  },
  "error in mid-stream": async (at) => {
    const { question, model } = at.order("breaks", MODEL);
    const error = await failure(() => stream(at, { model, messages: ask(question) }).finalMessage());
    assert.ok(error instanceof Anthropic.APIError, String(error));
    return error.message;
  },
  "dropped stream": async (at) => {
    const { question, model } = at.order("drops", MODEL);
    return String(await failure(() => stream(at, { model, messages: ask(question) }).finalMessage()));
  },
  "abort of a stream": async (at) => {
    const { name, question, model } = at.order("slow", MODEL);
    const events = stream(at, { model, messages: ask(question) });
    for await (const event of events) {
      if (JSON.stringify(event).includes("Hello")) break;
    }
    await at.eventually(name, (state) => state.is_cancelled && state.in_flight === 0);
  },
  "abort of a plain call": async (at) => {
    const { name, question, model } = at.order("slow", MODEL);
    const controller = new AbortController();
    const pending = failure(() => open(at).messages.create({ model, max_tokens: 99, messages: ask(question) }, { signal: controller.signal }));
    await at.eventually(name, (state) => state.calls === 1 && (at.isDirect || state.in_flight === 1));
    controller.abort();
    assert.ok((await pending) instanceof Anthropic.APIUserAbortError);
    await at.eventually(name, (state) => state.in_flight === 0);
  },
  "count of tokens": onlyThrough(async (at) => {
    const count = await open(at).messages.countTokens({ model: MODEL, messages: ask(TWO), tools: TOOLS, system: "Be kind." });
    assert.ok(count.input_tokens > 10);
    assert.ok((await open(at).beta.messages.countTokens({ model: MODEL, messages: ask(TWO) })).input_tokens > 5);
  }),
  "list of models": onlyThrough(async (at) => {
    const models = await collect(open(at).models.list());
    assert.ok(models.some((model) => model.id === "auto" && model.type === "model"));
    equal((await open(at).models.retrieve(MODEL)).id, MODEL);
    assert.ok((await failure(() => open(at).models.retrieve("none"))) instanceof Anthropic.NotFoundError);
  }),
};

export const clients = { anthropic };
