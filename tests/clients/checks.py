"""What the Python clients' tests share: the town as they see it, sample questions, and how results are told.

A client's file maps features to checks and calls `run`. Each result is one JSON line on stdout, which run.py reads.
"""

import asyncio
import base64
import inspect
import io
import json
import math
import os
import struct
import subprocess
import sys
import traceback
import urllib.request
import wave
import zlib
from pathlib import Path
from types import SimpleNamespace

from pydantic import BaseModel

from town import Failure, expect

SAMPLES = json.loads(Path(__file__).with_name("samples.json").read_text(encoding="utf-8"))
QUESTION = SAMPLES["question"]
TOOL = SAMPLES["tool"]
TOOLS = [{"type": "function", "function": SAMPLES[name]} for name in ("tool", "other_tool")]
SCHEMA = SAMPLES["schema"]
# Whole seconds after which a call has failed.
TIMEOUT = 30


class Answer(BaseModel):
    """The schema of the samples, as the clients' helpers want it."""

    titre: str
    pieces: list[str]
    payant: bool
    delai_jours: int


def read_town():
    """What run.py tells a client: addresses, keys, and the vendors to be asked."""
    return SimpleNamespace(**json.loads(os.environ["PASSERELLE_TOWN"]))


TOWN = read_town()
BASE_URL = f"{TOWN.public}/v1"
# The same gateway behind a counter of calls.
COUNTED_URL = f"{TOWN.counted}/v1"


def stay_on_this_machine(event, arguments):
    """Refuses every connection to elsewhere, whatever a client may want there."""
    if event == "socket.connect":
        address = arguments[1]
        # A path is a socket of this machine.
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in ("127.0.0.1", "localhost", "::1", None):
        # Told here too: a client may swallow the error.
        tell("errors", TOWN.vendors[0], "stays on this machine", "failed", f"wanted to reach {host}")
        raise PermissionError(f"the test lets nothing reach {host}")


def tell(feature, vendor, check, state, reason=""):
    line = {"feature": feature, "vendor": vendor, "check": check, "state": state, "reason": reason}
    # One write: a client's threads may tell too.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Vendor:
    """Who is asked, and with which models."""

    def __init__(self, name):
        self.name = name
        self.models = SAMPLES["vendors"][name]
        self.chat = self.models["chat"]
        self.providers = self.models["providers"]

    def __getattr__(self, kind):
        return self.models[kind]


def run(features, lacks):
    """Runs every check of every feature against every vendor.

    `features` maps a feature to its checks, each a function of the vendor (plain or async); `lacks` maps a feature,
    or a feature and a vendor, to why this client does not have it. A feature in neither is reported by run.py.
    """
    sys.addaudithook(stay_on_this_machine)
    unknown = {*features} - {*SAMPLES["features"]}
    expect(not unknown, f"no such feature: {unknown}")
    # One loop for all: clients keep connections that belong to theirs.
    loop = asyncio.new_event_loop()
    for vendor in map(Vendor, TOWN.vendors):
        for feature in SAMPLES["features"]:
            reason = lacks.get((feature, vendor.name)) or lacks.get(feature)
            if reason:
                tell(feature, vendor.name, "", "n.a.", reason)
                continue
            for check in features.get(feature, ()):
                run_one(loop, feature, vendor, check)


def run_one(loop, feature, vendor, check):
    title = check.__name__.removeprefix("check_").replace("_", " ")
    try:
        result = check(vendor)
        if inspect.isawaitable(result):
            loop.run_until_complete(result)
    except Exception as error:
        tell(feature, vendor.name, title, "failed", f"{type(error).__name__}: {error}")
        if not isinstance(error, Failure):
            traceback.print_exc()
    else:
        tell(feature, vendor.name, title, "ok")


def other_key(key):
    """A key of the right form that nobody was given."""
    # Not the last character: in some encodings it carries bits that do not count.
    place = len(key) - 6
    letter = "b" if key[place] in "aA" else "a"
    return key[:place] + letter + key[place + 1 :]


def revoke(key):
    subprocess.run([*TOWN.revoke, key], check=True, capture_output=True, timeout=TIMEOUT)


def check_raises(kind, call):
    """The call fails with this class of the client's errors; returns the error."""
    try:
        call()
    except kind as error:
        expect(str(error).strip(), "no message")
        return error
    raise Failure("was answered")


def check_never_retried(vendor, kind, call):
    """A spent quota raises, without a second call; returns the error."""
    error = check_raises(kind, call)
    calls = count_calls(TOWN.spent[vendor.name])
    expect(calls == 1, f"called {calls} times, though the gateway said never to retry")
    return error


def count_calls(key):
    # Without the environment's proxies.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{TOWN.counted}/calls/{key}", timeout=TIMEOUT) as answer:
        return int(answer.read())


def check_text(text):
    expect(isinstance(text, str) and text.strip(), f"text is {text!r}")


def check_sum(input_tokens, output_tokens, total):
    expect(input_tokens and input_tokens > 0, f"input tokens: {input_tokens}")
    expect(output_tokens and output_tokens > 0, f"output tokens: {output_tokens}")
    expect(total == input_tokens + output_tokens, f"{input_tokens} + {output_tokens} tokens, but {total} in all")


def check_vectors(vectors, count, vendor):
    expect(len(vectors) == count, f"{len(vectors)} vectors for {count} texts")
    for vector in vectors:
        expect(len(vector) == vendor.dimensions, f"{len(vector)} dimensions instead of {vendor.dimensions}")
        expect(all(isinstance(number, float) and math.isfinite(number) for number in vector), "not all are numbers")
        expect(any(vector), "all numbers are zero")
    expect(len({tuple(vector) for vector in vectors}) == count, "two texts have one vector")


def check_fits(value, schema, place="value"):
    """The value is valid for the schema: the few words of JSON Schema that the samples use."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    kind = kinds[schema["type"]]
    fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    expect(fits, f"{place} is {value!r}, not of type {schema['type']}")
    if "enum" in schema:
        expect(value in schema["enum"], f"{place} is {value!r}, not one of {schema['enum']}")
    if kind is dict:
        missing = set(schema["required"]) - set(value)
        extra = set(value) - set(schema["properties"])
        expect(
            not missing and not extra, f"{place} lacks {missing or 'nothing'} and has too much: {extra or 'nothing'}"
        )
        for name, part in value.items():
            check_fits(part, schema["properties"][name], f"{place}.{name}")
    if kind is list:
        for part in value:
            check_fits(part, schema["items"], f"{place}[]")


def check_calls(calls, count=1):
    """Calls as (id, name, arguments): so many, with different ids and arguments that fit their tool."""
    expect(len(calls) == count, f"{len(calls)} tool calls instead of {count}")
    ids = {call_id for call_id, _, _ in calls}
    expect(all(ids) and len(ids) == count, f"ids of the calls: {ids}")
    tools = {SAMPLES[name]["name"]: SAMPLES[name] for name in ("tool", "other_tool")}
    for _, name, arguments in calls:
        expect(name in tools, f"called {name!r}, which nobody offered")
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        check_fits(arguments, tools[name]["parameters"], name)


def wav(seconds=2):
    """A tone: what a simulator hears does not matter, that it is audio does."""
    rate = 16000
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        tone = (int(8000 * math.sin(math.tau * 440 * step / rate)) for step in range(rate))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in tone) * seconds)
    return file.getvalue()


def png(side=64):
    """A square of one colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x20\x60\xa0" * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_url():
    return "data:image/png;base64," + base64.b64encode(png()).decode()
