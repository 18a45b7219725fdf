// Checks with Vercel's AI SDK and its provider for Mistral.
"use strict";

const { createMistral } = require("@ai-sdk/mistral");
const { BASE_URL, TOWN, run } = require("./checks.cjs");
const { LACKS, features } = require("./ai_sdk.cjs");

const provider = (settings = {}) => createMistral({ baseURL: BASE_URL, apiKey: TOWN.key, ...settings });

// It reads errors of Mistral's shape only, and has no word to ask for usage in streams.
const options = { mistral: { reasoningEffort: "high" } };
run(features({ provider, tellsMessages: false, usageInStreams: false, options }), LACKS);
