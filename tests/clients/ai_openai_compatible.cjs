// Checks with Vercel's AI SDK and its provider for endpoints that speak like OpenAI's.
"use strict";

const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { BASE_URL, TOWN, run } = require("./checks.cjs");
const { LACKS, features } = require("./ai_sdk.cjs");

const provider = (settings = {}) =>
  createOpenAICompatible({
    name: "passerelle",
    baseURL: BASE_URL,
    apiKey: TOWN.key,
    // Both are off unless asked for.
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...settings,
  });

const options = { passerelle: { reasoningEffort: "high" } };
run(features({ provider, tellsMessages: true, usageInStreams: true, options }), LACKS);
