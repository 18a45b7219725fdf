// Checks with Vercel's AI SDK, for whichever of its providers is given.
"use strict";

// It prints warnings of its own otherwise.
globalThis.AI_SDK_LOG_WARNINGS = false;

const { APICallError, Output, RetryError, generateText, stepCountIs, streamText } = require("ai");
const { embed, embedMany, jsonSchema, tool } = require("ai");
const { z } = require("zod");
const { SAMPLES, TOWN, countCalls, expect, otherKey, png } = require("./checks.cjs");
const { checkCalls, checkFits, checkRaises, checkText, checkVectors } = require("./checks.cjs");

const Answer = z.object({
  titre: z.string(),
  pieces: z.array(z.string()),
  payant: z.boolean(),
  delai_jours: z.number().int(),
});

function offer(sample, results) {
  return tool({
    description: sample.description,
    inputSchema: jsonSchema(sample.parameters),
    // Without `execute` the SDK stops at the call.
    ...(results ? { execute: async () => SAMPLES.tool_result } : {}),
  });
}

const offers = (results) => ({ horaires: offer(SAMPLES.tool, results), adresse: offer(SAMPLES.other_tool, results) });
const triples = (calls) => calls.map((call) => ({ id: call.toolCallId, name: call.toolName, input: call.input }));

function checkUsage(usage) {
  expect(usage.inputTokens > 0 && usage.outputTokens > 0, `usage is ${JSON.stringify(usage)}`);
}

// The checks of every feature. `provider(settings)` makes the SDK's provider; `tellsMessages` says whether it shows our
// errors, `usageInStreams` whether it asks for usage, `options` are its own settings for reasoning.
function features({ provider, tellsMessages, usageInStreams, options }) {
  const model = (vendor, settings) => provider(settings)(vendor.chat);
  const ask = (vendor, prompt, more = {}) => generateText({ model: model(vendor), prompt, maxRetries: 0, ...more });

  async function plain(vendor) {
    const answer = await ask(vendor, SAMPLES.question, { maxOutputTokens: 500 });
    checkText(answer.text);
    expect(answer.finishReason === "stop", `finishReason is ${answer.finishReason}`);
    checkUsage(answer.usage);
  }

  // Everything that a stream brings; an error is a part of it, not an exception.
  async function readStream(stream) {
    const parts = [];
    for await (const part of stream.fullStream) {
      expect(part.type !== "error", `an error in the stream: ${part.error?.message ?? part.error}`);
      parts.push(part);
    }
    return parts;
  }

  async function streamed(vendor) {
    const stream = streamText({ model: model(vendor), prompt: SAMPLES.question, maxRetries: 0 });
    const parts = await readStream(stream);
    const text = parts.filter((part) => part.type === "text-delta").map((part) => part.text);
    checkText(text.join(""));
    expect(text.length > 1, "came in one piece");
    const ends = parts.filter((part) => part.type === "finish").map((part) => part.finishReason);
    expect(String(ends) === "stop", `finish reasons are ${ends}`);
    if (usageInStreams) {
      checkUsage(await stream.usage);
    }
  }

  async function forcedCall(vendor) {
    const toolChoice = { type: "tool", toolName: "adresse" };
    const answer = await ask(vendor, SAMPLES.tool_question, { tools: offers(false), toolChoice });
    checkCalls(triples(answer.toolCalls));
    expect(answer.toolCalls[0].toolName === "adresse", `called ${answer.toolCalls[0].toolName}, not what was named`);
    expect(answer.finishReason === "tool-calls", `finishReason is ${answer.finishReason}`);
  }

  // The SDK's own loop: calls, results, answer.
  async function loop(vendor, question, count) {
    const answer = await ask(vendor, question, { tools: offers(true), stopWhen: stepCountIs(3) });
    checkCalls(triples(answer.steps.flatMap((step) => step.toolCalls)), count);
    checkText(answer.text);
  }

  async function streamedCalls(vendor) {
    const settings = { model: model(vendor), prompt: SAMPLES.parallel_question, maxRetries: 0 };
    const stream = streamText({ ...settings, tools: offers(true), stopWhen: stepCountIs(3) });
    const parts = await readStream(stream);
    checkCalls(triples(parts.filter((part) => part.type === "tool-call")), 2);
    checkText(await stream.text);
  }

  async function objectOutput(vendor) {
    const answer = await ask(vendor, SAMPLES.schema_question, { output: Output.object({ schema: Answer }) });
    checkFits(answer.output, SAMPLES.schema);
  }

  async function streamedObject(vendor) {
    const settings = { model: model(vendor), prompt: SAMPLES.schema_question, maxRetries: 0 };
    const stream = streamText({ ...settings, output: Output.object({ schema: Answer }) });
    await readStream(stream);
    checkFits(await stream.output, SAMPLES.schema);
  }

  async function image(vendor) {
    const content = [
      { type: "text", text: SAMPLES.image_question },
      { type: "image", image: png(), mediaType: "image/png" },
    ];
    const answer = await ask(vendor, undefined, { messages: [{ role: "user", content }] });
    checkText(answer.text);
    checkUsage(answer.usage);
  }

  async function effort(vendor) {
    checkText((await ask(vendor, SAMPLES.question, { providerOptions: options })).text);
  }

  async function embeddings(vendor) {
    const settings = { model: provider().embeddingModel(vendor.embeddings), maxRetries: 0 };
    checkVectors((await embedMany({ ...settings, values: SAMPLES.texts })).embeddings, 3, vendor);
    checkVectors([(await embed({ ...settings, value: SAMPLES.texts[0] })).embedding], 1, vendor);
  }

  function checkStatus(error, status, text) {
    expect(error.statusCode === status, `status is ${error.statusCode}: ${error.message}`);
    expect(error.responseBody.includes(text), `no ${text} in ${error.responseBody}`);
    // A provider that does not read our errors shows the status's name instead.
    expect(!tellsMessages || error.responseBody.includes(JSON.stringify(error.message)), `says ${error.message}`);
  }

  async function wrongKey(vendor) {
    const stranger = model(vendor, { apiKey: otherKey(TOWN.key) });
    const error = await checkRaises(APICallError.isInstance, () => ask(vendor, SAMPLES.question, { model: stranger }));
    checkStatus(error, 401, "invalid_api_key");
  }

  async function unknownModel(vendor) {
    const nobody = provider()("no-such-model");
    const error = await checkRaises(APICallError.isInstance, () => ask(vendor, SAMPLES.question, { model: nobody }));
    checkStatus(error, 404, "model_not_found");
  }

  async function spentQuota(vendor) {
    const apiKey = TOWN.spent[vendor.name];
    const poor = model(vendor, { apiKey, baseURL: `${TOWN.counted}/v1` });
    // With the SDK's own retries: it does not know x-should-retry, and asks three times in all.
    const call = () => ask(vendor, SAMPLES.question, { model: poor, maxRetries: 2 });
    const error = await checkRaises(RetryError.isInstance, call);
    checkStatus(error.lastError, 429, "insufficient_quota");
    const calls = await countCalls(apiKey);
    expect(calls <= 3, `called ${calls} times`);
  }

  return {
    answer: { plain },
    stream: { streamed },
    tools: {
      "forced call": forcedCall,
      "call and result": (vendor) => loop(vendor, SAMPLES.tool_question, 1),
      "parallel calls": (vendor) => loop(vendor, SAMPLES.parallel_question, 2),
      "streamed calls": streamedCalls,
    },
    schema: { object: objectOutput, "streamed object": streamedObject },
    image: { image },
    reasoning: { effort },
    embeddings: { embeddings },
    errors: { "wrong key": wrongKey, "unknown model": unknownModel, "spent quota": spentQuota },
  };
}

const LACKS = {
  responses: "no Responses API",
  moderations: "no moderations",
  audio: "no transcription",
  models: "no list of models",
};

module.exports = { LACKS, features };
