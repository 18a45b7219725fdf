// Checks with the OpenAI client for JavaScript.
"use strict";

const { OpenAI, AuthenticationError, NotFoundError, RateLimitError, toFile } = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");
const {
  BASE_URL,
  COUNTED_URL,
  SAMPLES,
  TIMEOUT,
  TOOLS,
  TOWN,
  checkCalls,
  checkFits,
  checkRaises,
  checkSum,
  checkText,
  checkVectors,
  countCalls,
  expect,
  otherKey,
  png,
  run,
  wav,
} = require("./checks.cjs");

// Without retries: a first answer that is wrong must be seen.
const client = new OpenAI({ baseURL: BASE_URL, apiKey: TOWN.key, maxRetries: 0, timeout: TIMEOUT });
const FLAT_TOOLS = [SAMPLES.tool, SAMPLES.other_tool].map((tool) => ({ type: "function", strict: true, ...tool }));
const Answer = z.object({
  titre: z.string(),
  pieces: z.array(z.string()),
  payant: z.boolean(),
  delai_jours: z.number().int(),
});

const is = (kind) => (error) => error instanceof kind;
const user = (content) => [{ role: "user", content }];
const ask = (vendor, content, options = {}) =>
  client.chat.completions.create({ model: vendor.chat, messages: user(content), ...options });
const triples = (calls) =>
  (calls ?? []).map((call) => ({ id: call.id, name: call.function.name, input: call.function.arguments }));

function checkUsage(usage) {
  expect(usage, "no usage");
  checkSum(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens);
}

function checkCode(error, code) {
  expect(error.code === code, `code is ${error.code}`);
  expect(error.requestID, "no request id");
}

async function plain(vendor) {
  const answer = await ask(vendor, SAMPLES.question);
  checkText(answer.choices[0].message.content);
  expect(answer.choices[0].finish_reason === "stop", `finish_reason is ${answer.choices[0].finish_reason}`);
  checkUsage(answer.usage);
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return chunks;
}

async function readStream(vendor, options = {}) {
  const chunks = await collect(await ask(vendor, SAMPLES.question, { stream: true, ...options }));
  const choices = chunks.flatMap((chunk) => chunk.choices);
  checkText(choices.map((choice) => choice.delta.content ?? "").join(""));
  const reasons = choices.map((choice) => choice.finish_reason).filter(Boolean);
  expect(String(reasons) === "stop", `finish reasons are ${reasons}`);
  return chunks;
}

async function streamWithUsage(vendor) {
  const chunks = await readStream(vendor, { stream_options: { include_usage: true } });
  const last = chunks.pop();
  expect(last.choices.length === 0, "the last chunk has choices, not the usage alone");
  checkUsage(last.usage);
  expect(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage), "a chunk before the last has usage");
}

async function streamWithoutUsage(vendor) {
  const chunks = await readStream(vendor);
  expect(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage), "usage, though none was asked for");
}

async function streamHelper(vendor) {
  const stream = client.chat.completions.stream({ model: vendor.chat, messages: user(SAMPLES.question) });
  let streamed = "";
  stream.on("content", (delta) => {
    streamed += delta;
  });
  const final = await stream.finalChatCompletion();
  checkText(streamed);
  expect(final.choices[0].message.content === streamed, "the final text is not what was streamed");
}

async function forcedCall(vendor) {
  const choice = { type: "function", function: { name: "adresse" } };
  const options = { tools: TOOLS, tool_choice: choice, parallel_tool_calls: false };
  const calls = triples((await ask(vendor, SAMPLES.tool_question, options)).choices[0].message.tool_calls);
  checkCalls(calls);
  expect(calls[0].name === "adresse", `called ${calls[0].name} instead of the function that was named`);
}

async function callsAndResults(vendor, question, count) {
  const options = { tools: TOOLS, tool_choice: "required", parallel_tool_calls: count > 1 };
  const { message, finish_reason } = (await ask(vendor, question, options)).choices[0];
  expect(finish_reason === "tool_calls", `finish_reason is ${finish_reason}`);
  checkCalls(triples(message.tool_calls), count);
  const results = message.tool_calls.map(({ id }) => ({
    role: "tool",
    tool_call_id: id,
    content: SAMPLES.tool_result,
  }));
  const messages = [...user(question), message, ...results];
  const final = await client.chat.completions.create({ model: vendor.chat, messages, tools: TOOLS });
  checkText(final.choices[0].message.content);
}

async function streamedCalls(vendor) {
  const messages = user(SAMPLES.parallel_question);
  const options = { model: vendor.chat, messages, tools: TOOLS, tool_choice: "required" };
  const stream = client.chat.completions.stream(options);
  const choice = (await stream.finalChatCompletion()).choices[0];
  checkCalls(triples(choice.message.tool_calls), 2);
  expect(choice.finish_reason === "tool_calls", `finish_reason is ${choice.finish_reason}`);
}

async function jsonSchema(vendor) {
  const schema = { name: "demarche", strict: true, schema: SAMPLES.schema };
  const options = { response_format: { type: "json_schema", json_schema: schema } };
  const answer = await ask(vendor, SAMPLES.schema_question, options);
  checkFits(JSON.parse(answer.choices[0].message.content), SAMPLES.schema);
}

async function parseHelper(vendor) {
  const answer = await client.chat.completions.parse({
    model: vendor.chat,
    messages: user(SAMPLES.schema_question),
    response_format: zodResponseFormat(Answer, "demarche"),
  });
  checkFits(answer.choices[0].message.parsed, SAMPLES.schema);
}

async function image(vendor) {
  const text = { type: "text", text: SAMPLES.image_question };
  const url = `data:image/png;base64,${png().toString("base64")}`;
  const seen = await ask(vendor, [text, { type: "image_url", image_url: { url } }]);
  checkText(seen.choices[0].message.content);
  const blind = await ask(vendor, [text]);
  expect(seen.usage.prompt_tokens > blind.usage.prompt_tokens, "the image costs no tokens");
}

async function effort(vendor) {
  checkText((await ask(vendor, SAMPLES.question, { reasoning_effort: "high" })).choices[0].message.content);
}

function checkWhole(response) {
  expect(response.status === "completed", `status is ${response.status}`);
  checkSum(response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens);
}

async function response(vendor) {
  const answer = await client.responses.create({ model: vendor.chat, input: SAMPLES.question });
  checkText(answer.output_text);
  checkWhole(answer);
}

async function streamedResponse(vendor) {
  const events = await collect(
    await client.responses.create({ model: vendor.chat, input: SAMPLES.question, stream: true }),
  );
  const deltas = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  checkText(deltas.join(""));
  const last = events.at(-1);
  expect(last.type === "response.completed", `the last event is ${last.type}`);
  checkWhole(last.response);
}

async function responseWithTool(vendor) {
  const options = { model: vendor.chat, tools: FLAT_TOOLS, store: false, parallel_tool_calls: false };
  const question = { role: "user", content: SAMPLES.tool_question };
  const asking = await client.responses.create({ input: [question], tool_choice: "required", ...options });
  const calls = asking.output.filter((item) => item.type === "function_call");
  checkCalls(calls.map((call) => ({ id: call.call_id, name: call.name, input: call.arguments })));
  const result = { type: "function_call_output", call_id: calls[0].call_id, output: SAMPLES.tool_result };
  const final = await client.responses.create({ input: [question, ...asking.output, result], ...options });
  checkText(final.output_text);
}

async function streamedResponseWithTools(vendor) {
  const options = { model: vendor.chat, input: SAMPLES.parallel_question, tools: FLAT_TOOLS };
  const final = await client.responses.stream({ ...options, tool_choice: "required" }).finalResponse();
  const calls = final.output.filter((item) => item.type === "function_call");
  checkCalls(calls.map((call) => ({ id: call.call_id, name: call.name, input: call.arguments })), 2);
}

// Asked for in base64, which the client decodes without looking.
async function embeddingsByDefault(vendor) {
  const answer = await client.embeddings.create({ model: vendor.embeddings, input: SAMPLES.texts });
  checkVectors(answer.data.map((item) => item.embedding), 3, vendor);
  expect(answer.usage.prompt_tokens > 0, "no usage");
}

async function embeddingsAsFloats(vendor) {
  const options = { model: vendor.embeddings, input: SAMPLES.texts[0] };
  const floats = (await client.embeddings.create({ ...options, encoding_format: "float" })).data[0].embedding;
  checkVectors([floats], 1, vendor);
  const coded = (await client.embeddings.create(options)).data[0].embedding;
  expect(floats.every((number, place) => Math.abs(number - coded[place]) < 1e-6), "floats and base64 differ");
}

async function moderation(vendor) {
  const answer = await client.moderations.create({ model: vendor.moderations, input: SAMPLES.texts });
  expect(answer.results.length === 3, `${answer.results.length} results for 3 texts`);
  expect(answer.results.every((result) => typeof result.flagged === "boolean"), "no flagged");
}

async function transcription(vendor) {
  const file = await toFile(wav(), "annonce.wav", { type: "audio/wav" });
  checkText((await client.audio.transcriptions.create({ model: vendor.audio, file })).text);
}

// A refusal that leaves before a long upload has been read must still arrive: a connection that is closed under it
// shows as "Connection error." here, and is tried again.
async function wrongKeyAtUpload(vendor) {
  const file = await toFile(wav(120), "annonce.wav", { type: "audio/wav" });
  const stranger = client.withOptions({ apiKey: otherKey(TOWN.key) });
  const call = () => stranger.audio.transcriptions.create({ model: vendor.audio, file });
  checkCode(await checkRaises(is(AuthenticationError), call), "invalid_api_key");
}

async function list(vendor) {
  const ids = (await collect(client.models.list())).map((model) => model.id);
  expect(ids.includes(vendor.chat), `${vendor.chat} is not in the list`);
}

async function retrieve(vendor) {
  const model = await client.models.retrieve(vendor.chat);
  expect(model.id === vendor.chat, `id is ${model.id}`);
}

async function wrongKey(vendor) {
  const stranger = client.withOptions({ apiKey: otherKey(TOWN.key) });
  const options = { model: vendor.chat, messages: user(SAMPLES.question) };
  const call = () => stranger.chat.completions.create(options);
  checkCode(await checkRaises(is(AuthenticationError), call), "invalid_api_key");
}

async function unknownModel(vendor) {
  const call = () => ask(vendor, SAMPLES.question, { model: "no-such-model" });
  checkCode(await checkRaises(is(NotFoundError), call), "model_not_found");
}

async function spentQuota(vendor) {
  const apiKey = TOWN.spent[vendor.name];
  // With the client's own retries.
  const poor = new OpenAI({ baseURL: COUNTED_URL, apiKey, timeout: TIMEOUT });
  const options = { model: vendor.chat, messages: user(SAMPLES.question) };
  const call = () => poor.chat.completions.create(options);
  checkCode(await checkRaises(is(RateLimitError), call), "insufficient_quota");
  const calls = await countCalls(apiKey);
  expect(calls === 1, `called ${calls} times, though the gateway said never to retry`);
}

run(
  {
    answer: { plain },
    stream: { "with usage": streamWithUsage, "without usage": streamWithoutUsage, helper: streamHelper },
    tools: {
      "forced call": forcedCall,
      "call and result": (vendor) => callsAndResults(vendor, SAMPLES.tool_question, 1),
      "parallel calls": (vendor) => callsAndResults(vendor, SAMPLES.parallel_question, 2),
      "streamed calls": streamedCalls,
    },
    schema: { "json schema": jsonSchema, "parse helper": parseHelper },
    image: { image },
    reasoning: { effort },
    responses: {
      response,
      streamed: streamedResponse,
      "with tool": responseWithTool,
      "streamed with tools": streamedResponseWithTools,
    },
    embeddings: { "by default": embeddingsByDefault, "as floats": embeddingsAsFloats },
    moderations: { moderation },
    audio: { transcription, "wrong key at upload": wrongKeyAtUpload },
    models: { list, retrieve },
    errors: { "wrong key": wrongKey, "unknown model": unknownModel, "spent quota": spentQuota },
  },
  {},
);
