// The `openai` package: Chat Completions and Responses.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import {
  assert, clock, collect, equal, except, failure, HELLO, includes, LONG, Nested, NOTHING, ONE, onlyThrough, PDF, Person, PERSON,
  PICTURE_URL, PIXEL, STEPS, TWO, weather, WEATHER,
} from "./common.mjs";

const CHAT = "gpt-4o";
const REASONING = "gpt-6.1-sol";
const open = (at, more = {}) => new OpenAI({ apiKey: at.key, baseURL: `${at.url}/v1`, maxRetries: 0, ...more });
const ask = (content) => [{ role: "user", content }];

const CHAT_TOOLS = [
  { type: "function", function: { name: "weather", description: "The weather of a city", parameters: WEATHER, strict: true } },
  { type: "function", function: { name: "clock", description: "The time", parameters: NOTHING } },
];
const RESPONSE_TOOLS = CHAT_TOOLS.map((tool) => ({ type: "function", strict: false, ...tool.function }));
const runners = [
  { type: "function", function: { name: "weather", description: "The weather of a city", parameters: WEATHER, parse: JSON.parse, function: weather } },
  { type: "function", function: { name: "clock", description: "The time", parameters: NOTHING, parse: JSON.parse, function: clock } },
];

function checkUsage(usage, input = "prompt_tokens", output = "completion_tokens") {
  assert.ok(usage[input] > 0 && usage[output] > 0, JSON.stringify(usage));
  equal(usage.total_tokens, usage[input] + usage[output]);
}

// The errors that every client of this vendor has to see in the same way; `call` makes one call.
function errorsOf(call, stream, model, unthrown = {}) {
  return {
    "wrong key": async (at) => {
      const error = await failure(() => call(open(at, { apiKey: "wrong" }), model, HELLO));
      assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
    },
    "unknown model": async (at) => {
      const error = await failure(() => call(open(at), "no-such-model", HELLO));
      assert.ok(error instanceof OpenAI.NotFoundError, String(error));
    },
    "rejected request": async (at) => {
      const { question, model: name } = at.order("rejected", model);
      const error = await failure(() => call(open(at), name, question));
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(error.type, "invalid_request_error");
    },
    "rate limit": async (at) => {
      const { question, model: name } = at.order("limited", model);
      const error = await failure(() => call(open(at), name, question));
      assert.ok(error instanceof OpenAI.RateLimitError, String(error));
      equal(error.headers.get("retry-after"), "1");
      assert.ok(error.requestID || at.isDirect);
    },
    "rate limit, retried": async (at) => {
      const { name, question, model: route } = at.order("limited_once", model);
      await call(open(at, { maxRetries: 2 }), route, question);
      equal((await at.state(name)).calls, 2);
    },
    "overloaded": async (at) => {
      const { question, model: name } = at.order("busy", model);
      const error = await failure(() => call(open(at), name, question));
      assert.ok(error instanceof OpenAI.InternalServerError && error.status === 503, String(error));
      equal(error.headers.get("retry-after"), "1");
    },
    "server error": async (at) => {
      const { question, model: name } = at.order("broken", model);
      const error = await failure(() => call(open(at), name, question));
      assert.ok(error instanceof OpenAI.InternalServerError, String(error));
    },
    "error in mid-stream": except(unthrown, async (at) => {
      const { question, model: name } = at.order("breaks", model);
      const error = await failure(async () => collect(await stream(open(at), name, question)));
      assert.ok(error instanceof OpenAI.APIError, String(error));
      return error.message;
    }),
    "dropped stream": async (at) => {
      const { question, model: name } = at.order("drops", model);
      return String(await failure(async () => collect(await stream(open(at), name, question))));
    },
    "abort of a stream": async (at) => {
      const { name, question, model: route } = at.order("slow", model);
      const events = await stream(open(at), route, question);
      for await (const event of events) {
        if (JSON.stringify(event).includes("Hello")) break; // leaving the loop aborts
      }
      await at.eventually(name, (state) => state.is_cancelled && state.in_flight === 0);
    },
    "abort of a plain call": async (at) => {
      const { name, question, model: route } = at.order("slow", model);
      const controller = new AbortController();
      const pending = failure(() => call(open(at), route, question, { signal: controller.signal }));
      await at.eventually(name, (state) => state.calls === 1 && (at.isDirect || state.in_flight === 1));
      controller.abort();
      assert.ok((await pending) instanceof OpenAI.APIUserAbortError);
      await at.eventually(name, (state) => state.in_flight === 0);
    },
    "timeout": async (at) => {
      const { name, question, model: route } = at.order("slow", model);
      const error = await failure(() => call(open(at, { timeout: 300 }), route, question));
      assert.ok(error instanceof OpenAI.APIConnectionTimeoutError, String(error));
      await at.eventually(name, (state) => state.in_flight === 0);
    },
  };
}

async function answerOf(client, body) {
  const answer = await client.chat.completions.create({ model: CHAT, ...body });
  return answer.choices[0];
}

const chat = {
  "plain": async (at) => {
    const answer = await open(at).chat.completions.create({ model: CHAT, messages: ask(HELLO) });
    includes(answer.choices[0].message.content, "Hello");
    equal(answer.choices[0].finish_reason, "stop");
    equal(answer.choices[0].message.refusal, null);
    checkUsage(answer.usage);
  },
  "stream": async (at) => {
    const events = await collect(await open(at).chat.completions.create({ model: CHAT, messages: ask(HELLO), stream: true }));
    includes(events.map((event) => event.choices[0]?.delta?.content ?? "").join(""), "You said: Say hello.");
    equal(events.at(-1).choices[0].finish_reason, "stop");
    equal(new Set(events.map((event) => event.id)).size, 1);
  },
  "usage of a stream": async (at) => {
    const body = { model: CHAT, messages: ask(HELLO), stream: true, stream_options: { include_usage: true } };
    const events = await collect(await open(at).chat.completions.create(body));
    checkUsage(events.at(-1).usage);
    equal(events.at(-1).choices, []);
  },
  "stream helper": async (at) => {
    const stream = open(at).chat.completions.stream({ model: CHAT, messages: ask(HELLO), stream_options: { include_usage: true } });
    const deltas = [];
    stream.on("content", (delta) => deltas.push(delta));
    includes(await stream.finalContent(), "Hello");
    includes(deltas.join(""), "Hello");
    checkUsage(await stream.totalUsage());
  },
  "one tool": async (at) => {
    const choice = await answerOf(open(at), { messages: ask(ONE), tools: CHAT_TOOLS });
    equal(choice.finish_reason, "tool_calls");
    equal(choice.message.tool_calls.map((call) => [call.type, call.function.name, JSON.parse(call.function.arguments)]), [["function", "weather", { city: "Paris" }]]);
    equal(choice.message.content, null);
  },
  "parallel tools": async (at) => {
    const choice = await answerOf(open(at), { messages: ask(TWO), tools: CHAT_TOOLS });
    equal(choice.message.tool_calls.map((call) => JSON.parse(call.function.arguments).city), ["Paris", "Rome"]);
  },
  "no parallel tools": except({ google: "Gemini has no such setting" }, async (at) => {
    const choice = await answerOf(open(at), { messages: ask(TWO), tools: CHAT_TOOLS, parallel_tool_calls: false });
    equal(choice.message.tool_calls.length, 1);
  }),
  "tool without arguments": async (at) => {
    const choice = await answerOf(open(at), { messages: ask("Use clock()."), tools: CHAT_TOOLS });
    equal(JSON.parse(choice.message.tool_calls[0].function.arguments), {});
  },
  "streamed tools": async (at) => {
    const stream = open(at).chat.completions.stream({ model: CHAT, messages: ask(TWO), tools: CHAT_TOOLS });
    const done = [];
    stream.on("tool_calls.function.arguments.done", (event) => done.push(event.arguments));
    const message = await stream.finalMessage();
    equal(message.tool_calls.map((call) => JSON.parse(call.function.arguments).city), ["Paris", "Rome"]);
    equal(done.map((one) => JSON.parse(one).city), ["Paris", "Rome"]);
    equal(new Set(message.tool_calls.map((call) => call.id)).size, 2);
  },
  "streamed tool without arguments": async (at) => {
    const stream = open(at).chat.completions.stream({ model: CHAT, messages: ask("Use clock()."), tools: CHAT_TOOLS });
    equal(JSON.parse((await stream.finalMessage()).tool_calls[0].function.arguments), {});
  },
  "tool choices": async (at) => {
    const client = open(at);
    const named = { type: "function", function: { name: "weather" } };
    equal((await answerOf(client, { messages: ask("Paris?"), tools: CHAT_TOOLS, tool_choice: named })).message.tool_calls[0].function.name, "weather");
    assert.ok((await answerOf(client, { messages: ask("Paris?"), tools: CHAT_TOOLS, tool_choice: "required" })).message.tool_calls.length);
    assert.ok(!(await answerOf(client, { messages: ask(ONE), tools: CHAT_TOOLS, tool_choice: "none" })).message.tool_calls);
  },
  "tool loop": async (at) => {
    const runner = open(at).chat.completions.runTools({ model: CHAT, messages: ask(STEPS), tools: runners });
    includes(await runner.finalContent(), "It is noon");
    equal(runner.messages.filter((message) => message.role === "tool").length, 2);
  },
  "streamed tool loop": async (at) => {
    const runner = open(at).chat.completions.runTools({ model: CHAT, messages: ask(STEPS), tools: runners, stream: true });
    includes(await runner.finalContent(), "It is noon");
  },
  "structured output": async (at) => {
    for (const [name, form] of [["person", Person], ["nested", Nested]]) {
      const answer = await open(at).chat.completions.parse({ model: CHAT, messages: ask(PERSON), response_format: zodResponseFormat(form, name) });
      form.parse(answer.choices[0].message.parsed);
    }
  },
  "streamed structured output": async (at) => {
    const stream = open(at).chat.completions.stream({ model: CHAT, messages: ask(PERSON), response_format: zodResponseFormat(Person, "person") });
    Person.parse((await stream.finalChatCompletion()).choices[0].message.parsed);
  },
  "JSON mode": async (at) => {
    const choice = await answerOf(open(at), { messages: ask("Answer with nothing but JSON with the key 'name'."), response_format: { type: "json_object" } });
    assert.equal(typeof JSON.parse(choice.message.content), "object");
  },
  "image as base64": async (at) => {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}`, detail: "low" } };
    includes((await answerOf(open(at), { messages: ask([{ type: "text", text: "What?" }, image]) })).message.content, "an image");
  },
  "image by URL": async (at) => {
    const image = { type: "image_url", image_url: { url: PICTURE_URL } };
    includes((await answerOf(open(at), { messages: ask([{ type: "text", text: "What?" }, image]) })).message.content, "image");
  },
  "document": async (at) => {
    const file = { type: "file", file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` } };
    includes((await answerOf(open(at), { messages: ask([{ type: "text", text: "What?" }, file]) })).message.content, "a document");
  },
  "stop sequence": except({ responses: "the Responses API has none" }, async (at) => {
    const choice = await answerOf(open(at), { messages: ask(HELLO), stop: ["how"] });
    equal([choice.message.content, choice.finish_reason], ["Hello, ", "stop"]);
  }),
  "length": async (at) => {
    equal((await answerOf(open(at), { messages: ask(LONG), max_completion_tokens: 16 })).finish_reason, "length");
  },
  "reasoning effort": async (at) => {
    const answer = await open(at).chat.completions.create({ model: REASONING, messages: ask(HELLO), reasoning_effort: "low" });
    assert.ok(answer.usage.completion_tokens_details.reasoning_tokens > 0);
  },
  "conversation with system and developer": async (at) => {
    const messages = [{ role: "developer", content: "Be kind." }, ...ask(HELLO), { role: "assistant", content: "Hi." }, ...ask("And now?")];
    includes((await answerOf(open(at), { messages })).message.content, "And now?");
  },
  ...errorsOf(
    (client, model, question, more) => client.chat.completions.create({ model, messages: ask(question) }, more),
    (client, model, question) => client.chat.completions.create({ model, messages: ask(question), stream: true }),
    CHAT,
  ),
  "list of models": onlyThrough(async (at) => {
    const models = await collect(open(at).models.list());
    assert.ok(models.some((model) => model.id === "auto"));
    equal((await open(at).models.retrieve("gpt-4o")).id, "gpt-4o");
    assert.ok((await failure(() => open(at).models.retrieve("none"))) instanceof OpenAI.NotFoundError);
  }),
  "raw response": async (at) => {
    const { data, response } = await open(at).chat.completions.create({ model: CHAT, messages: ask(HELLO) }).withResponse();
    includes(data.choices[0].message.content, "Hello");
    includes(response.headers.get("content-type"), "application/json");
  },
};

const respond = (at, body) => open(at).responses.create({ model: REASONING, ...body });

const responses = {
  "plain": async (at) => {
    const answer = await respond(at, { input: HELLO, instructions: "Be kind." });
    includes(answer.output_text, "Hello");
    equal(answer.status, "completed");
    checkUsage(answer.usage, "input_tokens", "output_tokens");
    equal(answer.instructions, "Be kind.");
  },
  "stream": async (at) => {
    const events = await collect(await respond(at, { input: HELLO, stream: true }));
    includes(events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join(""), "Say hello.");
    equal(events.at(-1).type, "response.completed");
    checkUsage(events.at(-1).response.usage, "input_tokens", "output_tokens");
    equal(events.map((event) => event.sequence_number), events.map((_, i) => i));
  },
  "stream helper": async (at) => {
    const answer = await open(at).responses.stream({ model: REASONING, input: HELLO }).finalResponse();
    includes(answer.output_text, "Hello");
  },
  "one tool": async (at) => {
    const answer = await respond(at, { input: ONE, tools: RESPONSE_TOOLS });
    const calls = answer.output.filter((item) => item.type === "function_call");
    equal(calls.map((call) => [call.name, JSON.parse(call.arguments)]), [["weather", { city: "Paris" }]]);
  },
  "parallel tools": async (at) => {
    const calls = (await respond(at, { input: TWO, tools: RESPONSE_TOOLS })).output.filter((item) => item.type === "function_call");
    equal(calls.map((call) => JSON.parse(call.arguments).city), ["Paris", "Rome"]);
  },
  "tool without arguments": async (at) => {
    const calls = (await respond(at, { input: "Use clock().", tools: RESPONSE_TOOLS })).output.filter((item) => item.type === "function_call");
    equal(JSON.parse(calls[0].arguments), {});
  },
  "streamed tools": async (at) => {
    const stream = open(at).responses.stream({ model: REASONING, input: TWO, tools: RESPONSE_TOOLS });
    const answer = await stream.finalResponse();
    const calls = answer.output.filter((item) => item.type === "function_call");
    equal(calls.map((call) => JSON.parse(call.arguments).city), ["Paris", "Rome"]);
  },
  "streamed tool without arguments": async (at) => {
    const answer = await open(at).responses.stream({ model: REASONING, input: "Use clock().", tools: RESPONSE_TOOLS }).finalResponse();
    equal(JSON.parse(answer.output.find((item) => item.type === "function_call").arguments), {});
  },
  "tool choices": async (at) => {
    const named = await respond(at, { input: "Paris?", tools: RESPONSE_TOOLS, tool_choice: { type: "function", name: "weather" } });
    equal(named.output.at(-1).name, "weather");
    const required = await respond(at, { input: "Paris?", tools: RESPONSE_TOOLS, tool_choice: "required" });
    equal(required.output.at(-1).type, "function_call");
    const none = await respond(at, { input: ONE, tools: RESPONSE_TOOLS, tool_choice: "none" });
    equal(none.output.at(-1).type, "message");
  },
  "tool loop": async (at) => {
    const input = ask(STEPS);
    for (let i = 0; i < 4; i++) {
      const answer = await respond(at, { input, tools: RESPONSE_TOOLS, store: false, include: ["reasoning.encrypted_content"] });
      const calls = answer.output.filter((item) => item.type === "function_call");
      if (!calls.length) {
        includes(answer.output_text, "It is noon");
        equal(i, 2);
        return;
      }
      input.push(...answer.output);
      for (const call of calls) {
        const output = call.name === "weather" ? weather(JSON.parse(call.arguments)) : clock();
        input.push({ type: "function_call_output", call_id: call.call_id, output });
      }
    }
    throw new Error("the loop has no end");
  },
  "structured output": async (at) => {
    for (const [name, form] of [["person", Person], ["nested", Nested]]) {
      const answer = await open(at).responses.parse({ model: REASONING, input: PERSON, text: { format: zodTextFormat(form, name) } });
      form.parse(answer.output_parsed);
    }
  },
  "streamed structured output": async (at) => {
    const stream = open(at).responses.stream({ model: REASONING, input: PERSON, text: { format: zodTextFormat(Person, "person") } });
    Person.parse((await stream.finalResponse()).output_parsed);
  },
  "image as base64": async (at) => {
    const content = [{ type: "input_text", text: "What?" }, { type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" }];
    includes((await respond(at, { input: ask(content) })).output_text, "an image");
  },
  "image by URL": async (at) => {
    const content = [{ type: "input_text", text: "What?" }, { type: "input_image", image_url: PICTURE_URL, detail: "auto" }];
    includes((await respond(at, { input: ask(content) })).output_text, "image");
  },
  "document": async (at) => {
    const content = [{ type: "input_text", text: "What?" }, { type: "input_file", filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` }];
    includes((await respond(at, { input: ask(content) })).output_text, "a document");
  },
  "image as a tool's result": async (at) => {
    const first = await respond(at, { input: ONE, tools: RESPONSE_TOOLS, store: false, include: ["reasoning.encrypted_content"] });
    const call = first.output.find((item) => item.type === "function_call");
    const output = [{ type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" }];
    const input = [...ask(ONE), ...first.output, { type: "function_call_output", call_id: call.call_id, output }];
    includes((await respond(at, { input, tools: RESPONSE_TOOLS, store: false })).output_text, "an image");
  },
  "length": async (at) => {
    const answer = await respond(at, { input: LONG, max_output_tokens: 16 });
    equal([answer.status, answer.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  },
  "reasoning": except({ chat: "Chat Completions does not show it" }, async (at) => {
    const answer = await respond(at, { input: HELLO, reasoning: { effort: "low", summary: "auto" } });
    includes(answer.output.find((item) => item.type === "reasoning").summary[0].text, "The user asks");
    assert.ok(answer.usage.output_tokens_details.reasoning_tokens > 0);
  }),
  "streamed reasoning": except({ chat: "Chat Completions does not show it" }, async (at) => {
    const events = await collect(await respond(at, { input: HELLO, reasoning: { effort: "low", summary: "auto" }, stream: true }));
    includes(events.filter((event) => event.type === "response.reasoning_summary_text.delta").map((event) => event.delta).join(""), "The user asks");
  }),
  "conversation with its own output": async (at) => {
    const more = { store: false, include: ["reasoning.encrypted_content"], reasoning: { effort: "low", summary: "auto" } };
    const first = await respond(at, { input: HELLO, ...more });
    includes((await respond(at, { input: [...ask(HELLO), ...first.output, ...ask("And now?")], ...more })).output_text, "And now?");
  },
  ...errorsOf(
    (client, model, question, more) => client.responses.create({ model, input: question }, more),
    (client, model, question) => client.responses.create({ model, input: question, stream: true }),
    REASONING,
    { directly: "the client does not raise the event `error`" },
  ),
};

export const clients = { "openai-chat": chat, "openai-responses": responses };
