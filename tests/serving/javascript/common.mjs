// What the features of all clients share: questions, tools, files and checks.
import { strict as assert } from "node:assert";
import { z } from "zod";

export { assert, z };

export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const PICTURE_URL = "https://example.org/a.png";
export const PDF = Buffer.from("%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF").toString("base64");

export const HELLO = "Say hello.";
export const ONE = "Use weather('Paris').";
export const TWO = "Use weather('Paris') and weather('Rome').";
export const LONG = `Repeat: ${"one two three four five ".repeat(8)}`;
export const STEPS = "Use weather('Paris'), then use clock().";
export const PERSON = "Ada is 36 years old.";

export const WEATHER = {
  type: "object",
  properties: { city: { type: "string", description: "The city" } },
  required: ["city"],
  additionalProperties: false,
};
export const NOTHING = { type: "object", properties: {}, additionalProperties: false };
export const Person = z.object({ name: z.string(), age: z.number() });
export const Nested = z.object({
  title: z.string(),
  tags: z.array(z.enum(["red", "green"])),
  note: z.string().nullable(),
  owner: z.object({ name: z.string() }),
});

export const weather = ({ city }) => `${city} is sunny`;
export const clock = () => "It is noon";

// Marks a feature that is not tried in some places, with the reasons.
export function except(missing, run) {
  run.missing = missing;
  return run;
}

export const onlyThrough = (run) => except({ directly: "the stand-in does not have it" }, run);

export function equal(actual, expected, what) {
  assert.deepEqual(actual, expected, what && `${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
}

export function includes(text, piece) {
  assert.ok(String(text).includes(piece), `${JSON.stringify(text)} does not include ${JSON.stringify(piece)}`);
}

export async function collect(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

export async function failure(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("there was no error");
}
