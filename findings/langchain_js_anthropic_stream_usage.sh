#!/bin/sh
# @langchain/anthropic 1.5.11 (npm, Node 20): the usage of a stream is the sum of its first and its last event. The counts of
# `message_delta` are cumulative (https://platform.claude.com/docs/en/build-with-claude/streaming), so the output tokens of
# `message_start` are counted twice, and input tokens that come later, as those of searches do, are not counted at all.
# Anthropic's own SDK takes the last counts.
#
# Seen, where the stream reports 25 and 1 tokens at its beginning and 2,679 and 15 at its end:
#   @langchain/anthropic: 25 in, 16 out
#   @anthropic-ai/sdk: 2679 in, 15 out
#
# Exits with 0 while that holds. Needs Node 20 and npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @langchain/anthropic@1.5.11 @langchain/core@1.4.0 @anthropic-ai/sdk@1.14.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import http from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import { ChatAnthropic } from "@langchain/anthropic";

const message = {
  id: "msg_1", type: "message", role: "assistant", model: "claude-haiku-4-5", content: [], stop_reason: null, stop_sequence: null,
  usage: { input_tokens: 25, output_tokens: 1 },
};
const events = [
  { type: "message_start", message },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { input_tokens: 2679, output_tokens: 15 } },
  { type: "message_stop" },
];
const server = http.createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;

let merged;
const llm = new ChatAnthropic({ model: "claude-haiku-4-5", apiKey: "k", anthropicApiUrl: url, maxRetries: 0 });
for await (const chunk of await llm.stream("Hello")) merged = merged ? merged.concat(chunk) : chunk;
const sdk = new Anthropic({ apiKey: "k", baseURL: url, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const { usage } = await sdk.messages.stream({ model: "claude-haiku-4-5", max_tokens: 99, messages }).finalMessage();
server.close();
server.closeAllConnections();
console.log(`@langchain/anthropic: ${merged.usage_metadata.input_tokens} in, ${merged.usage_metadata.output_tokens} out`);
console.log(`@anthropic-ai/sdk: ${usage.input_tokens} in, ${usage.output_tokens} out`);
assert.deepEqual([merged.usage_metadata.input_tokens, merged.usage_metadata.output_tokens], [25, 16]);
assert.deepEqual([usage.input_tokens, usage.output_tokens], [2679, 15]);
JS
node run.mjs
