// The `ai` package over `@ai-sdk/openai` (Chat Completions and Responses), `@ai-sdk/openai-compatible` and
// `@ai-sdk/anthropic`. They validate each answer and each event of a stream against their own schemas.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError, convertToModelMessages, generateObject, generateText, Output, readUIMessageStream, RetryError, stepCountIs,
  streamObject, streamText, tool, ToolLoopAgent,
} from "ai";
import {
  assert, clock, collect, equal, except, failure, HELLO, includes, LONG, Nested, ONE, onlyThrough, PDF, Person, PERSON, PICTURE_URL,
  PIXEL, STEPS, TWO, weather, z,
} from "./common.mjs";

const TOOLS = {
  weather: tool({ description: "The weather of a city", inputSchema: z.object({ city: z.string().describe("The city") }), execute: weather }),
  clock: tool({ description: "The time", inputSchema: z.object({}), execute: clock }),
};
const UNEXECUTED = Object.fromEntries(Object.entries(TOOLS).map(([name, { execute, ...rest }]) => [name, rest]));
const quiet = { onError: () => {} };

// The parts of a stream; a part that reports an error raises it.
async function partsOf(result) {
  const parts = await collect(result.fullStream);
  const wrong = parts.find((part) => part.type === "error");
  if (wrong) throw wrong.error;
  return parts;
}

function features({ model, name, reasoning, plain = {}, hidden, noStop, noToolImage, download, refused, overload = 503 }) {
  const run = (at, body, more) => generateText({ model: model(at, name), maxRetries: 0, providerOptions: plain, ...body, ...more });
  const stream = (at, body) => streamText({ model: model(at, name), maxRetries: 0, providerOptions: plain, ...quiet, ...body });
  const onModel = (at, route, question, more = {}) => generateText({ model: model(at, route), prompt: question, maxRetries: 0, providerOptions: plain, ...more });
  return {
    "plain": async (at) => {
      const answer = await run(at, { prompt: HELLO, system: "Be kind." });
      includes(answer.text, "Hello");
      equal(answer.finishReason, "stop");
      assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0, JSON.stringify(answer.usage));
      equal(answer.warnings ?? [], []);
      return [answer.usage, answer.response.modelId];
    },
    "stream": async (at) => {
      const result = stream(at, { prompt: HELLO, includeRawChunks: true });
      const parts = await partsOf(result);
      includes(parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""), "Say hello.");
      equal(parts.at(-1).finishReason, "stop");
      const usage = parts.at(-1).totalUsage;
      assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
      assert.ok(parts.some((part) => part.type === "raw"));
      return usage;
    },
    "one tool": async (at) => {
      const answer = await run(at, { prompt: ONE, tools: UNEXECUTED });
      equal(answer.toolCalls.map((call) => [call.toolName, call.input]), [["weather", { city: "Paris" }]]);
      equal(answer.finishReason, "tool-calls");
    },
    "parallel tools": async (at) => {
      equal((await run(at, { prompt: TWO, tools: UNEXECUTED })).toolCalls.map((call) => call.input.city), ["Paris", "Rome"]);
    },
    "streamed tools": async (at) => {
      const parts = await partsOf(stream(at, { prompt: TWO, tools: UNEXECUTED }));
      equal(parts.filter((part) => part.type === "tool-call").map((part) => part.input.city), ["Paris", "Rome"]);
      equal(parts.filter((part) => part.type === "tool-input-start").length, 2);
      equal(parts.filter((part) => part.type === "tool-input-end").length, 2);
      equal(parts.at(-1).finishReason, "tool-calls");
    },
    "tool without arguments": async (at) => {
      equal((await run(at, { prompt: "Use clock().", tools: UNEXECUTED })).toolCalls[0].input, {});
      const parts = await partsOf(stream(at, { prompt: "Use clock().", tools: UNEXECUTED }));
      equal(parts.find((part) => part.type === "tool-call").input, {});
    },
    "tool choices": async (at) => {
      const named = await run(at, { prompt: "Paris?", tools: UNEXECUTED, toolChoice: { type: "tool", toolName: "weather" } });
      equal(named.toolCalls[0].toolName, "weather");
      assert.ok((await run(at, { prompt: "Paris?", tools: UNEXECUTED, toolChoice: "required" })).toolCalls.length);
      equal((await run(at, { prompt: ONE, tools: UNEXECUTED, toolChoice: "none" })).toolCalls, []);
    },
    "tool loop": async (at) => {
      const answer = await run(at, { prompt: STEPS, tools: TOOLS, stopWhen: stepCountIs(5) });
      includes(answer.text, "It is noon");
      equal(answer.steps.length, 3);
    },
    "streamed tool loop": async (at) => {
      const result = stream(at, { prompt: STEPS, tools: TOOLS, stopWhen: stepCountIs(5) });
      await partsOf(result);
      includes(await result.text, "It is noon");
      equal((await result.steps).length, 3);
    },
    "conversation": async (at) => {
      const messages = [{ role: "user", content: HELLO }];
      for (const question of ["And now?", "And then?"]) {
        const answer = await run(at, { messages });
        messages.push(...answer.response.messages, { role: "user", content: question });
      }
      includes((await run(at, { messages })).text, "And then?");
    },
    "conversation of a chat page": async (at) => {
      const messages = [{ id: "1", role: "user", parts: [{ type: "text", text: STEPS }] }];
      const result = stream(at, { messages: await convertToModelMessages(messages), tools: TOOLS, stopWhen: stepCountIs(5) });
      for await (const message of readUIMessageStream({ stream: result.toUIMessageStream() })) messages[1] = message;
      messages.push({ id: "3", role: "user", parts: [{ type: "text", text: "And now?" }] });
      includes((await run(at, { messages: await convertToModelMessages(messages, { tools: TOOLS }), tools: TOOLS })).text, "And now?");
    },
    "agent": async (at) => {
      const agent = new ToolLoopAgent({ model: model(at, name), tools: TOOLS, instructions: "Be kind.", providerOptions: plain, maxRetries: 0 });
      includes((await agent.generate({ prompt: STEPS })).text, "It is noon");
    },
    "any character": async (at) => {
      const odd = "Grüße 😀 \u2028 \u0001 👩‍👩‍👧 <|end|>";
      includes((await run(at, { prompt: odd })).text, odd);
      const parts = await partsOf(stream(at, { prompt: odd }));
      includes(parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""), odd);
    },
    "structured output": async (at) => {
      for (const schema of [Person, Nested]) {
        schema.parse((await generateObject({ model: model(at, name), schema, prompt: PERSON, maxRetries: 0, providerOptions: plain })).object);
        schema.parse((await run(at, { prompt: PERSON, output: Output.object({ schema }) })).output);
      }
    },
    "streamed structured output": async (at) => {
      const result = streamObject({ model: model(at, name), schema: Person, prompt: PERSON, maxRetries: 0, providerOptions: plain, ...quiet });
      assert.ok((await collect(result.partialObjectStream)).length);
      Person.parse(await result.object);
      const text = stream(at, { prompt: PERSON, output: Output.object({ schema: Person }) });
      await partsOf(text);
      Person.parse(await text.output);
    },
    "list and choice as output": async (at) => {
      const list = await run(at, { prompt: PERSON, output: Output.array({ element: Person }) });
      assert.ok(list.output.length);
      const choice = await run(at, { prompt: "red or green?", output: Output.choice({ options: ["red", "green"] }) });
      assert.ok(["red", "green"].includes(choice.output));
    },
    "tools and structured output": async (at) => {
      const answer = await run(at, { prompt: ONE, tools: TOOLS, stopWhen: stepCountIs(4), output: Output.object({ schema: Person }) });
      Person.parse(answer.output);
      equal(answer.steps.length, 2);
    },
    "image as base64": async (at) => {
      const content = [{ type: "text", text: "What?" }, { type: "image", image: PIXEL, mediaType: "image/png" }];
      includes((await run(at, { messages: [{ role: "user", content }] })).text, "an image");
    },
    "image by URL": except(download ?? {}, async (at) => {
      const content = [{ type: "text", text: "What?" }, { type: "image", image: new URL(PICTURE_URL) }];
      includes((await run(at, { messages: [{ role: "user", content }] })).text, "image");
    }),
    "document": async (at) => {
      const content = [{ type: "text", text: "What?" }, { type: "file", data: PDF, mediaType: "application/pdf", filename: "a.pdf" }];
      includes((await run(at, { messages: [{ role: "user", content }] })).text, "a document");
    },
    "image as a tool's result": except(noToolImage ?? { chat: "Chat Completions takes none" }, async (at) => {
      const look = tool({
        ...UNEXECUTED.weather,
        execute: () => PIXEL,
        toModelOutput: ({ output }) => ({ type: "content", value: [{ type: "image-data", data: output, mediaType: "image/png" }] }),
      });
      includes((await run(at, { prompt: ONE, tools: { weather: look }, stopWhen: stepCountIs(3) })).text, "an image");
    }),
    "failed tool": async (at) => {
      const broken = tool({ ...UNEXECUTED.weather, execute: () => { throw new Error("no such city"); } });
      includes((await run(at, { prompt: ONE, tools: { weather: broken }, stopWhen: stepCountIs(3) })).text, "no such city");
    },
    ...(noStop ? {} : {
      "stop sequence": except({ responses: "the Responses API has none" }, async (at) => {
        const answer = await run(at, { prompt: HELLO, stopSequences: ["how"] });
        equal([answer.text, answer.finishReason], ["Hello, ", "stop"]);
      }),
    }),
    "length": async (at) => equal((await run(at, { prompt: LONG, maxOutputTokens: 16 })).finishReason, "length"),
    "reasoning": except(hidden, async (at) => {
      const answer = await generateText({ model: model(at, reasoning.name), prompt: HELLO, providerOptions: reasoning.options, maxRetries: 0, maxOutputTokens: 4000 });
      includes(answer.reasoningText, "The user asks");
    }),
    "streamed reasoning": except(hidden, async (at) => {
      const result = streamText({ model: model(at, reasoning.name), prompt: HELLO, providerOptions: reasoning.options, maxRetries: 0, maxOutputTokens: 4000, ...quiet });
      includes((await partsOf(result)).filter((part) => part.type === "reasoning-delta").map((part) => part.text).join(""), "The user asks");
    }),
    "reasoning in a tool loop": except(refused ?? {}, async (at) => {
      const body = { model: model(at, reasoning.name), prompt: STEPS, tools: TOOLS, stopWhen: stepCountIs(5), providerOptions: reasoning.options, maxRetries: 0, maxOutputTokens: 4000 };
      includes((await generateText(body)).text, "It is noon");
      const result = streamText({ ...body, ...quiet });
      await partsOf(result);
      includes(await result.text, "It is noon");
    }),
    ...Object.fromEntries(
      [["rejected request", "rejected", 400, false], ["rate limit", "limited", 429, true], ["overloaded", "busy", overload, true]].map(
        ([title, fault, status, isRetryable]) => [title, async (at) => {
          const { question, model: route } = at.order(fault, name);
          const error = await failure(() => onModel(at, route, question));
          assert.ok(APICallError.isInstance(error), String(error));
          equal([error.statusCode, error.isRetryable], [status, isRetryable]);
          assert.ok(error.message && !error.message.startsWith("Invalid JSON"), error.message);
          if (isRetryable) equal(error.responseHeaders["retry-after"], "1");
          assert.ok(error.data, "the body of the error does not have the form that the client reads");
        }],
      ),
    ),
    "rate limit, retried": async (at) => {
      const { name: order, question, model: route } = at.order("limited_once", name);
      await onModel(at, route, question, { maxRetries: 2 });
      equal((await at.state(order)).calls, 2);
    },
    "retries used up": async (at) => {
      const { question, model: route } = at.order("limited", name);
      assert.ok(RetryError.isInstance(await failure(() => onModel(at, route, question, { maxRetries: 1 }))));
    },
    "wrong key": async (at) => {
      const error = await failure(() => onModel({ ...at, key: "wrong" }, name, HELLO));
      equal([error.statusCode, error.isRetryable], [401, false]);
    },
    "unknown model": async (at) => equal((await failure(() => onModel(at, "no-such-model", HELLO))).statusCode, 404),
    "error in mid-stream": async (at) => {
      const { question, model: route } = at.order("breaks", name);
      const result = streamText({ model: model(at, route), prompt: question, maxRetries: 0, providerOptions: plain, ...quiet });
      const parts = await collect(result.fullStream);
      const error = parts.find((part) => part.type === "error");
      assert.ok(error, JSON.stringify(parts.map((part) => part.type)));
      assert.ok(error.error.name !== "AI_TypeValidationError", String(error.error));
      return [error.error, parts.at(-1).finishReason];
    },
    "dropped stream": async (at) => {
      const { question, model: route } = at.order("drops", name);
      const result = streamText({ model: model(at, route), prompt: question, maxRetries: 0, providerOptions: plain, ...quiet });
      return String(await failure(() => partsOf(result)));
    },
    "abort of a stream": async (at) => {
      const { name: order, question, model: route } = at.order("slow", name);
      const controller = new AbortController();
      const result = streamText({ model: model(at, route), prompt: question, maxRetries: 0, providerOptions: plain, abortSignal: controller.signal, ...quiet });
      for await (const text of result.textStream) {
        if (text.includes("Hello")) controller.abort();
      }
      await at.eventually(order, (state) => state.is_cancelled && state.in_flight === 0);
    },
    "abort of a plain call": async (at) => {
      const { name: order, question, model: route } = at.order("slow", name);
      const controller = new AbortController();
      const pending = failure(() => onModel(at, route, question, { abortSignal: controller.signal }));
      await at.eventually(order, (state) => state.calls === 1 && (at.isDirect || state.in_flight === 1));
      controller.abort();
      equal((await pending).name, "AbortError");
      await at.eventually(order, (state) => state.in_flight === 0);
    },
  };
}

const everywhere = (reason) => Object.fromEntries(["directly", "anthropic", "chat", "responses", "google"].map((where) => [where, reason]));
const HIDDEN = { chat: "Chat Completions does not show it" };
const openai = (at) => createOpenAI({ apiKey: at.key, baseURL: `${at.url}/v1` });

const chat = features({
  model: (at, name) => openai(at).chat(name),
  name: "gpt-4o",
  reasoning: { name: "gpt-6.1-sol", options: { openai: { reasoningEffort: "low" } } },
  hidden: everywhere("the client does not read it"),
  noToolImage: everywhere("the client sends it as text"),
});
const responses = features({
  model: (at, name) => openai(at).responses(name),
  name: "gpt-6.1-sol",
  plain: { openai: { store: false } },
  reasoning: { name: "gpt-6.1-sol", options: { openai: { store: false, reasoningEffort: "low", reasoningSummary: "auto" } } },
  hidden: HIDDEN,
  noStop: true,
});
// Without `store: false` the client refers to earlier items by their ids.
const body = (at, more) => ({ model: openai(at).responses("gpt-6.1-sol"), maxRetries: 0, ...more });
responses["tool loop with references"] = onlyThrough(async (at) => {
  includes((await generateText(body(at, { prompt: STEPS, tools: TOOLS, stopWhen: stepCountIs(5) }))).text, "It is noon");
});
responses["reference to a text"] = onlyThrough(async (at) => {
  const options = { openai: { itemId: "msg_1" } };
  const messages = [{ role: "assistant", content: [{ type: "text", text: "Hi.", providerOptions: options }] }, { role: "user", content: HELLO }];
  const error = await failure(() => generateText({ ...body(at, { messages }), model: openai(at).responses("gpt-4o") }));
  equal(error.statusCode, 400);
  includes(error.message, "store=false");
});
const compatible = features({
  model: (at, name) => createOpenAICompatible({ name: "shop", apiKey: at.key, baseURL: `${at.url}/v1`, includeUsage: true, supportsStructuredOutputs: true })(name),
  name: "gpt-4o",
  reasoning: { name: "gpt-6.1-sol", options: { shop: { reasoningEffort: "low" } } },
  hidden: { ...HIDDEN, directly: "Chat Completions does not show it" },
  noToolImage: everywhere("the client sends it as text"),
  download: everywhere("the client downloads it"),
  refused: { directly: "OpenAI refuses the reasoning that the client sends back" },
});
const anthropic = features({
  model: (at, name) => createAnthropic({ apiKey: at.key, baseURL: `${at.url}/v1` })(name),
  name: "claude-sonnet-4-6",
  reasoning: { name: "claude-sonnet-4-6", options: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } },
  hidden: HIDDEN,
  overload: 529,
});

export const clients = { "ai-chat": chat, "ai-responses": responses, "ai-compatible": compatible, "ai-anthropic": anthropic };
