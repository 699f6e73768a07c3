// The `@langchain/openai` and `@langchain/anthropic` packages.
import { ChatAnthropic } from "@langchain/anthropic";
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import {
  assert, clock, collect, equal, except, failure, HELLO, includes, LONG, Nested, ONE, PDF, Person, PERSON, PICTURE_URL,
  PIXEL, STEPS, TWO, weather, z,
} from "./common.mjs";

const TOOLS = [
  tool(weather, { name: "weather", description: "The weather of a city", schema: z.object({ city: z.string() }) }),
  tool(clock, { name: "clock", description: "The time", schema: z.object({}) }),
];

async function merge(stream) {
  const chunks = await collect(stream);
  return chunks.reduce((all, chunk) => all.concat(chunk));
}

function features({ build, name, reasoning, hidden, stop, force = "required", forms = [Person, Nested], uncounted = {}, unthrown = {}, unsent = {}, overload = 503 }) {
  const ask = (at, question, more) => build(at, name, more).invoke(question);
  return {
    "plain": async (at) => {
      const message = await ask(at, [new SystemMessage("Be kind."), new HumanMessage(HELLO)]);
      includes(message.text, "Hello");
      assert.ok(message.usage_metadata.input_tokens > 0 && message.usage_metadata.output_tokens > 0);
      return [message.response_metadata, message.usage_metadata];
    },
    "stream": async (at) => includes((await merge(await build(at, name).stream(HELLO))).text, "Say hello."),
    "usage of a stream": except(uncounted, async (at) => {
      const { usage_metadata: usage } = await merge(await build(at, name).stream(HELLO));
      assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, JSON.stringify(usage));
      return usage;
    }),
    "parallel tools": async (at) => {
      const message = await build(at, name).bindTools(TOOLS).invoke(TWO);
      equal(message.tool_calls.map((call) => call.args.city), ["Paris", "Rome"]);
      equal(message.invalid_tool_calls ?? [], []);
    },
    "streamed tools": async (at) => {
      const message = await merge(await build(at, name).bindTools(TOOLS).stream(TWO));
      equal(message.tool_calls.map((call) => [call.name, call.args.city]), [["weather", "Paris"], ["weather", "Rome"]]);
      assert.ok(message.tool_calls.every((call) => call.id));
    },
    "tool without arguments": async (at) => {
      equal((await build(at, name).bindTools(TOOLS).invoke("Use clock().")).tool_calls[0].args, {});
      equal((await merge(await build(at, name).bindTools(TOOLS).stream("Use clock()."))).tool_calls[0].args, {});
    },
    "tool choices": async (at) => {
      const named = await build(at, name).bindTools(TOOLS, { tool_choice: "weather" }).invoke("Paris?");
      equal(named.tool_calls[0].name, "weather");
      if (force) assert.ok((await build(at, name).bindTools(TOOLS, { tool_choice: force }).invoke("Paris?")).tool_calls.length);
    },
    ...Object.fromEntries([["tool loop", false], ["streamed tool loop", true]].map(([title, streamed]) => [title, async (at) => {
      const llm = build(at, name).bindTools(TOOLS);
      const messages = [new HumanMessage(STEPS)];
      for (let i = 0; i < 4; i++) {
        const message = streamed ? await merge(await llm.stream(messages)) : await llm.invoke(messages);
        if (!message.tool_calls.length) {
          includes(message.text, "It is noon");
          equal(i, 2);
          return;
        }
        messages.push(message);
        for (const call of message.tool_calls) messages.push(await TOOLS.find((one) => one.name === call.name).invoke(call));
      }
      throw new Error("the loop has no end");
    }])),
    "structured output": async (at) => {
      for (const schema of forms) {
        for (const method of ["jsonSchema", "functionCalling"]) {
          schema.parse(await build(at, name).withStructuredOutput(schema, { method, name: "form" }).invoke(PERSON));
        }
      }
    },
    "image as base64": async (at) => {
      const contentBlocks = [{ type: "text", text: "What?" }, { type: "image", mimeType: "image/png", data: PIXEL }];
      includes((await ask(at, [new HumanMessage({ contentBlocks })])).text, "an image");
    },
    "image by URL": async (at) => {
      const content = [{ type: "text", text: "What?" }, { type: "image_url", image_url: { url: PICTURE_URL } }];
      includes((await ask(at, [new HumanMessage({ content })])).text, "image");
    },
    "document": async (at) => {
      const content = [{ type: "text", text: "What?" }, { type: "file", source_type: "base64", mime_type: "application/pdf", data: PDF, metadata: { filename: "a.pdf", name: "a.pdf" } }];
      includes((await ask(at, [new HumanMessage({ content })])).text, "a document");
    },
    "conversation": async (at) => {
      const first = await ask(at, HELLO);
      const earlier = new AIMessage({ content: "", tool_calls: [{ id: "call_1", name: "weather", args: { city: "Paris" }, type: "tool_call" }] });
      const result = new ToolMessage({ content: "sunny", tool_call_id: "call_1", name: "weather" });
      const messages = [new HumanMessage(HELLO), first, new HumanMessage(ONE), earlier, result, new AIMessage("Sunny."), new HumanMessage("And now?")];
      includes((await build(at, name).bindTools(TOOLS).invoke(messages)).text, "And now?");
    },
    "stop sequence": except(stop, async (at) => {
      equal((await build(at, name).invoke(HELLO, { stop: ["how"] })).text, "Hello, ");
    }),
    "length": async (at) => {
      const message = await ask(at, LONG, { maxTokens: 16 });
      const { finish_reason, stop_reason, incomplete_details } = message.response_metadata;
      assert.ok(["length", "max_tokens", "max_output_tokens"].includes(finish_reason ?? stop_reason ?? incomplete_details?.reason), JSON.stringify(message.response_metadata));
    },
    "reasoning": except(hidden, async (at) => {
      const blocks = (await build(at, reasoning.name, reasoning.settings).invoke(HELLO)).contentBlocks;
      includes(blocks.filter((block) => block.type === "reasoning").map((block) => block.reasoning).join(""), "The user asks");
    }),
    "streamed reasoning": except(hidden, async (at) => {
      const { contentBlocks: blocks } = await merge(await build(at, reasoning.name, reasoning.settings).stream(HELLO));
      includes(blocks.filter((block) => block.type === "reasoning").map((block) => block.reasoning).join(""), "The user asks");
    }),
    "reasoning sent back": except(unsent, async (at) => {
      const llm = build(at, reasoning.name, reasoning.settings).bindTools(TOOLS);
      const message = await llm.invoke(ONE);
      const results = await Promise.all(message.tool_calls.map((call) => TOOLS[0].invoke(call)));
      includes((await llm.invoke([new HumanMessage(ONE), message, ...results])).text, "Paris is sunny");
      const streamed = await merge(await llm.stream(ONE));
      const more = await Promise.all(streamed.tool_calls.map((call) => TOOLS[0].invoke(call)));
      includes((await llm.invoke([new HumanMessage(ONE), streamed, ...more])).text, "Paris is sunny");
    }),
    ...Object.fromEntries([["wrong key", 401], ["unknown model", 404], ["rejected request", 400], ["rate limit", 429], ["overloaded", overload]].map(
      ([title, status]) => [title, async (at) => {
        const fault = { 400: "rejected", 429: "limited", [overload]: "busy" }[status];
        const { question, model } = fault ? at.order(fault, name) : { question: HELLO, model: status === 404 ? "no-such-model" : name };
        const error = await failure(() => build(status === 401 ? { ...at, key: "wrong" } : at, model).invoke(question));
        equal(error.status, status);
      }],
    )),
    "rate limit, retried": async (at) => {
      const { name: order, question, model } = at.order("limited_once", name);
      await build(at, model, { maxRetries: 2 }).invoke(question);
      equal((await at.state(order)).calls, 2);
    },
    "error in mid-stream": except(unthrown, async (at) => {
      const { question, model } = at.order("breaks", name);
      return String(await failure(async () => collect(await build(at, model).stream(question))));
    }),
    "abort of a stream": async (at) => {
      const { name: order, question, model } = at.order("slow", name);
      const controller = new AbortController();
      await failure(async () => {
        for await (const chunk of await build(at, model).stream(question, { signal: controller.signal })) {
          if (chunk.text.includes("Hello")) controller.abort();
        }
      });
      await at.eventually(order, (state) => state.is_cancelled && state.in_flight === 0);
    },
  };
}

const HIDDEN = { chat: "Chat Completions does not show it" };
const everywhere = (reason) => Object.fromEntries(["directly", "anthropic", "chat", "responses", "google"].map((where) => [where, reason]));
const openai = (more) => (at, model, settings = {}) =>
  new ChatOpenAI({ model, apiKey: at.key, maxRetries: 0, configuration: { baseURL: `${at.url}/v1` }, ...more, ...settings });

const chat = features({
  build: openai({ useResponsesApi: false, streamUsage: true }),
  name: "gpt-4o",
  reasoning: { name: "gpt-6.1-sol", settings: { reasoning: { effort: "low" } } },
  hidden: everywhere("Chat Completions does not show it"),
  stop: { responses: "the Responses API has none" },
});
const responses = features({
  build: openai({ useResponsesApi: true, zdrEnabled: true }),
  name: "gpt-6.1-sol",
  reasoning: { name: "gpt-6.1-sol", settings: { modelKwargs: { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"] } } },
  hidden: HIDDEN,
  stop: everywhere("the Responses API has none"),
  force: null, // the client leaves out what is no name of a tool
  unsent: { directly: "the stand-in refuses the empty message that the client sends beside the call" },
  unthrown: { directly: "the client does not raise the event `error`" },
});
const anthropic = features({
  build: (at, model, settings = {}) => new ChatAnthropic({ model, apiKey: at.key, anthropicApiUrl: at.url, maxRetries: 0, maxTokens: 4000, ...settings }),
  name: "claude-sonnet-4-6",
  reasoning: { name: "claude-sonnet-4-6", settings: { thinking: { type: "enabled", budget_tokens: 1024 } } },
  hidden: HIDDEN,
  stop: { responses: "the Responses API has none" },
  force: "any",
  forms: [Person],
  overload: 529,
  // The client takes the prompt's tokens from the first event only, and OpenAI counts them at the end.
  uncounted: { chat: "counted at the end", responses: "counted at the end" },
});

export const clients = { "langchain-chat": chat, "langchain-responses": responses, "langchain-anthropic": anthropic };
