#!/bin/sh
# @langchain/openai 1.5.8 (npm, Node 20): over the Responses API, `tool_choice` "any", "required" and "none" are not sent.
# The request has the tools and no `tool_choice`, so the model is free to answer without a call, or to call where it must
# not. The name of a tool is sent, and over Chat Completions all of them are.
#
# Seen:
#   chat      any: required   required: required   none: none   weather: {"type":"function","function":{"name":"weather"}}
#   responses any: undefined   required: undefined   none: undefined   weather: {"type":"function","name":"weather"}
#
# Exits with 0 while that holds. Needs Node 20 and npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @langchain/openai@1.5.8 @langchain/core@1.4.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import http from "node:http";
import { ChatOpenAI } from "@langchain/openai";

let sent;
const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    sent = JSON.parse(body);
    response.writeHead(400, { "content-type": "application/json" }).end('{"error": {"message": "enough"}}');
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;

async function choices(useResponsesApi) {
  const llm = new ChatOpenAI({ model: "gpt-4o", apiKey: "k", maxRetries: 0, useResponsesApi, configuration: { baseURL } });
  const seen = {};
  for (const choice of ["any", "required", "none", "weather"]) {
    await llm.bindTools(tools, { tool_choice: choice }).invoke("Hello").catch(() => {});
    assert.equal(sent.tools.length, 1);
    seen[choice] = sent.tool_choice;
  }
  return seen;
}

const [chat, responses] = [await choices(false), await choices(true)];
for (const [api, seen] of Object.entries({ chat, responses })) {
  console.log(api.padEnd(9), Object.entries(seen).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("   "));
}
server.close();
assert.deepEqual([chat.any, chat.required, chat.none], ["required", "required", "none"]);
assert.deepEqual([responses.any, responses.required, responses.none], [undefined, undefined, undefined]);
assert.deepEqual(responses.weather, { type: "function", name: "weather" });
JS
node run.mjs
