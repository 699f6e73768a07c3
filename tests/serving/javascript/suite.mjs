// Runs every feature of every client directly at the vendors' stand-in and through each server, and prints a line of JSON
// for each outcome. `host.py` starts it and passes the addresses.
import * as ai from "./ai.mjs";
import * as anthropic from "./anthropic.mjs";
import * as langchain from "./langchain.mjs";
import * as openai from "./openai.mjs";

const settings = JSON.parse(process.argv[2]);
const chosen = process.argv.slice(3).join(" ");
const verbose = Boolean(chosen);
const TIMEOUT = 60_000;

globalThis.AI_SDK_LOG_WARNINGS = false;

let count = 0;

// What a feature gets: the address of a place, and the means to order a fault there and to see what came of it.
function place(client, where) {
  const url = settings.urls[where];
  const isDirect = where === "directly";
  return {
    url,
    where,
    isDirect,
    key: settings.key,
    // A question with which the stand-in fails in a certain way, and the model to ask it.
    order(fault, model, question = "Say hello.") {
      const name = `${client}-${where}-${count++}`;
      return { name, question: `${question} [[${fault} ${name}]]`, model: isDirect ? model : `${client}.${fault}` };
    },
    async state(name) {
      return (await fetch(`${settings.control}/?${new URLSearchParams({ name, where })}`)).json();
    },
    async eventually(name, holds) {
      for (let i = 0; i < 400; i++) {
        const state = await this.state(name);
        if (holds(state)) return state;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      throw new Error(`it never came to hold: ${JSON.stringify(await this.state(name))}`);
    },
  };
}

async function attempt(client, feature, where, run) {
  if (run.missing?.[where]) return null;
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("no end within 60 s")), TIMEOUT);
    });
    const value = await Promise.race([run(place(client, where)), late]);
    if (verbose) console.error(client, "|", feature, "|", where, "|", JSON.stringify(value));
    return "";
  } catch (error) {
    if (verbose) console.error(client, "|", feature, "|", where, "|", error);
    const body = error?.responseBody ?? error?.cause?.responseBody ?? "";
    return `${error?.constructor?.name}: ${String(error?.message).slice(0, 700)} ${body}`.trim();
  } finally {
    clearTimeout(timer);
  }
}

for (const [client, features] of Object.entries({ ...openai.clients, ...anthropic.clients, ...ai.clients, ...langchain.clients })) {
  for (const [feature, run] of Object.entries(features)) {
    if (chosen && !`${client} ${feature}`.includes(chosen)) continue;
    const outcomes = await Promise.all(
      Object.keys(settings.urls).map(async (where) => ({ client, feature, where, error: await attempt(client, feature, where, run) })),
    );
    for (const outcome of outcomes) console.log(JSON.stringify(outcome));
  }
}
process.exit(0);
