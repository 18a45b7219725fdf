// What the Node clients' tests share: as checks.py, for the other language. Results are JSON lines on stdout.
"use strict";

const net = require("node:net");
const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");

const SAMPLES = JSON.parse(fs.readFileSync(path.join(__dirname, "samples.json"), "utf8"));
const TOWN = JSON.parse(process.env.PASSERELLE_TOWN);
const BASE_URL = `${TOWN.public}/v1`;
// The same gateway behind a counter of calls.
const COUNTED_URL = `${TOWN.counted}/v1`;
// Milliseconds after which a call has failed.
const TIMEOUT = 30_000;
const TOOLS = [SAMPLES.tool, SAMPLES.other_tool].map((tool) => ({ type: "function", function: tool }));

function tell(feature, vendor, check, state, reason = "") {
  process.stdout.write(`${JSON.stringify({ feature, vendor, check, state, reason })}\n`);
}

// Refuses every connection to elsewhere, whatever a client may want there.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...parts) {
  const target = [parts].flat(2).find((part) => part && typeof part === "object" && !Array.isArray(part));
  const host = target?.host ?? parts.flat().find((part, place) => place > 0 && typeof part === "string");
  if (host && !["127.0.0.1", "localhost", "::1"].includes(host)) {
    // Told here too: a client may swallow the error.
    tell("errors", TOWN.vendors[0], "stays on this machine", "failed", `wanted to reach ${host}`);
    throw new Error(`the test lets nothing reach ${host}`);
  }
  return connect.apply(this, parts);
};

// Node 18 has it in a module only, and openai-node uploads nothing without.
globalThis.File ??= require("node:buffer").File;

class Failure extends Error {
  name = "Failure";
}

function expect(holds, message) {
  if (!holds) {
    throw new Failure(message);
  }
}

// Runs every check of every feature against every vendor. `features` maps a feature to checks by name, `lacks` a
// feature to why this client does not have it. A feature in neither is reported by run.py.
async function run(features, lacks) {
  for (const name of TOWN.vendors) {
    const vendor = { name, ...SAMPLES.vendors[name] };
    for (const feature of SAMPLES.features) {
      if (lacks[feature]) {
        tell(feature, name, "", "n.a.", lacks[feature]);
        continue;
      }
      for (const [title, check] of Object.entries(features[feature] ?? {})) {
        try {
          await check(vendor);
          tell(feature, name, title, "ok");
        } catch (error) {
          tell(feature, name, title, "failed", `${error.name}: ${error.message}`);
          if (!(error instanceof Failure)) {
            console.error(error);
          }
        }
      }
    }
  }
}

// A key of the right form that nobody was given. Not the last character: it may carry bits that do not count.
function otherKey(key) {
  const place = key.length - 6;
  return key.slice(0, place) + ("aA".includes(key[place]) ? "b" : "a") + key.slice(place + 1);
}

// The call fails with an error of which `isWanted` holds; returns the error.
async function checkRaises(isWanted, call) {
  try {
    await call();
  } catch (error) {
    expect(isWanted(error), `another error: ${error.constructor.name}: ${error.message}`);
    expect(error.message, "no message");
    return error;
  }
  throw new Failure("was answered");
}

async function countCalls(key) {
  return Number(await (await fetch(`${TOWN.counted}/calls/${key}`)).text());
}

function checkText(text) {
  expect(typeof text === "string" && text.trim(), `text is ${JSON.stringify(text)}`);
}

function checkSum(input, output, total) {
  expect(input > 0, `input tokens: ${input}`);
  expect(output > 0, `output tokens: ${output}`);
  expect(total === input + output, `${input} + ${output} tokens, but ${total} in all`);
}

function checkVectors(vectors, count, vendor) {
  expect(vectors.length === count, `${vectors.length} vectors for ${count} texts`);
  for (const vector of vectors) {
    expect(vector.length === vendor.dimensions, `${vector.length} dimensions instead of ${vendor.dimensions}`);
    expect(vector.every(Number.isFinite), "not all are numbers");
    expect(vector.some((number) => number !== 0), "all numbers are zero");
  }
  expect(new Set(vectors.map(String)).size === count, "two texts have one vector");
}

const FITS = {
  object: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
};

// The value is valid for the schema: the few words of JSON Schema that the samples use.
function checkFits(value, schema, place = "value") {
  expect(FITS[schema.type](value), `${place} is ${JSON.stringify(value)}, not of type ${schema.type}`);
  expect(!schema.enum || schema.enum.includes(value), `${place} is ${value}, not one of ${schema.enum}`);
  if (schema.type === "object") {
    const names = Object.keys(value);
    expect(schema.required.every((name) => names.includes(name)), `${place} lacks something: ${names}`);
    for (const name of names) {
      expect(schema.properties[name], `${place} has too much: ${name}`);
      checkFits(value[name], schema.properties[name], `${place}.${name}`);
    }
  } else if (schema.type === "array") {
    value.forEach((part) => checkFits(part, schema.items, `${place}[]`));
  }
}

// Calls as { id, name, input }: so many, with different ids and arguments that fit their tool.
function checkCalls(calls, count = 1) {
  expect(calls.length === count, `${calls.length} tool calls instead of ${count}`);
  const ids = new Set(calls.map((call) => call.id));
  expect(!ids.has(undefined) && !ids.has("") && ids.size === count, `ids of the calls: ${[...ids]}`);
  for (const { name, input } of calls) {
    const tool = [SAMPLES.tool, SAMPLES.other_tool].find((known) => known.name === name);
    expect(tool, `called ${name}, which nobody offered`);
    checkFits(typeof input === "string" ? JSON.parse(input) : input, tool.parameters, name);
  }
}

// A tone of some seconds: what a simulator hears does not matter, that it is audio does.
function wav(seconds = 2, rate = 16_000) {
  const samples = Int16Array.from({ length: rate * seconds }, (_, step) =>
    Math.round(8000 * Math.sin((2 * Math.PI * 440 * step) / rate)),
  );
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

// The checksum of PNG; zlib.crc32 is too new for Node 18.
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
  }
  return (crc ^ -1) >>> 0;
}

// A square of one colour.
function png(side = 64) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 8, 2, 0, 0, 0]);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(3 * side, Buffer.from([0x20, 0x60, 0xa0]))]);
  const pixels = zlib.deflateSync(Buffer.concat(Array(side).fill(row)));
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

module.exports = {
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
};
