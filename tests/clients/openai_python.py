#!/usr/bin/env python3
"""Talks to a running Passerelle with the OpenAI client for Python.

A resident's program must work by changing only the base URL and the key, whichever vendor answers.
The vendors are Passerelle's own simulators on this machine: nothing leaves it and nothing is paid.
"""

import argparse
import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path

import openai

START_SECONDS = 30
# Longer than the gateway's own patience with calls under way.
STOP_SECONDS = 60

# Model asked for -> vendors that may answer. Calls are few: the default plan's rate limit applies.
OPENAI_MODEL = "gpt-6-luna"
MISTRAL_MODEL = "mistral-small-latest"
ROUTES = {
    OPENAI_MODEL: {"openai"},
    MISTRAL_MODEL: {"mistral_ai"},
    "auto": {"openai", "mistral_ai"},
}
# Vendors may answer with a dated id: only the beginning is certain.
FAMILIES = {"openai": "gpt-", "mistral_ai": ("mistral-", "ministral-", "magistral-")}
QUESTION = [{"role": "user", "content": "À quelle heure ouvre la mairie ?"}]

CONFIG = """\
[server]
public = "127.0.0.1:0"
mairie = "127.0.0.1:0"
ops = "127.0.0.1:0"

[ledger]
path = "{folder}/ledger.sqlite"

[identity]
secret_file = "{folder}/secret"

# A test asks faster than a person.
[plans.resident]
requests_per_minute = 600
burst = 100

[providers.openai]
base_url = "{openai}/v1"

[providers.mistral_ai]
base_url = "{mistral}/v1"
"""


class Failure(Exception):
    """A check that does not hold."""


def expect(holds, message):
    # Not `assert`: `python -O` would skip the test without a word.
    if not holds:
        raise Failure(message)


class Checks:
    """Runs checks one by one and counts them; one that fails does not hide the next."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def run(self, title, check, *arguments):
        try:
            check(*arguments)
        except Exception as error:
            self.failed += 1
            print(f"FAILED {title}: {type(error).__name__}: {error}", flush=True)
            return False
        self.passed += 1
        print(f"ok {title}", flush=True)
        return True


class Process:
    """A started process, its lines on stdout as they come and its stderr in a file."""

    def __init__(self, name, command, environment, folder):
        self.name = name
        self.stderr_path = folder / f"{name}.stderr"
        with self.stderr_path.open("wb") as stderr:
            self.child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )
        self.lines = queue.Queue()
        # Reads to the end even when nobody asks: a full pipe would stop the process.
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next_line(self, deadline):
        try:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Failure(f"{self.name} is not ready after {START_SECONDS} s") from None
        if line is None:
            raise Failure(f"{self.name} ended before it was ready, exit code {self.child.wait()}")
        return line

    def stop(self):
        """Asks it to end and returns its exit code; one that does not end is killed."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failure(f"{self.name} did not end within {STOP_SECONDS} s of SIGTERM") from None
        finally:
            self.reader.join(timeout=5)
            self.child.stdout.close()

    def stderr_tail(self, count=40):
        return self.stderr_path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


class Town:
    """Two simulated vendors, a gateway before them, and one resident's key."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.config = folder / "passerelle.toml"
        self.processes = []
        self.environment = without_settings(os.environ)
        self.environment["OPENAI_API_KEY"] = "openai-key-of-the-test"
        self.environment["MISTRAL_API_KEY"] = "mistral-key-of-the-test"
        self.gateway = None
        self.public = None
        self.key = None

    def start(self):
        openai_url = self.simulate("openai")
        mistral_url = self.simulate("mistral")
        self.config.write_text(
            CONFIG.format(folder=self.folder, openai=openai_url, mistral=mistral_url), encoding="utf-8"
        )
        keys = self.command("keys", "issue", "--config", self.config, "--plan", "resident", "--count", "1").split()
        expect(len(keys) == 1, f"asked for one key, got {len(keys)}")
        self.key = keys[0]
        self.serve()

    def spawn(self, name, *arguments):
        process = Process(name, [self.binary, *map(str, arguments)], self.environment, self.folder)
        self.processes.append(process)
        return process

    def simulate(self, dialect):
        name = f"simulate-{dialect}"
        process = self.spawn(name, "simulate", "--dialect", dialect, "--listen", "127.0.0.1:0", "--seed", "7")
        line = process.next_line(time.monotonic() + START_SECONDS)
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)", line)
        expect(match, f"{name}: unexpected first line {line!r}")
        return match.group(1)

    def serve(self):
        self.gateway = self.spawn("serve", "serve", "--config", self.config)
        deadline = time.monotonic() + START_SECONDS
        addresses = {}
        while len(addresses) < 3:
            line = self.gateway.next_line(deadline)
            match = re.fullmatch(r"(public|mairie|ops) listening on (http://127\.0\.0\.1:\d+)", line)
            if match:
                addresses[match.group(1)] = match.group(2)
        self.public = addresses["public"]

    def command(self, *arguments):
        done = subprocess.run(
            [self.binary, *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=START_SECONDS,
            check=False,
        )
        # Only the command's words: the last argument may be a key.
        name = f"passerelle {arguments[0]} {arguments[1]}"
        expect(done.returncode == 0, f"{name}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def client(self, key=None):
        # Without retries: a first answer that is wrong must be seen.
        return openai.OpenAI(base_url=f"{self.public}/v1", api_key=key or self.key, max_retries=0, timeout=30)

    def stop_gateway(self):
        code = self.gateway.stop()
        expect(code == 0, f"exit code {code}")

    def stop(self):
        # Last started first: the gateway before its vendors.
        for process in reversed(self.processes):
            with contextlib.suppress(Failure):
                process.stop()


def without_settings(environment):
    """The environment without what would steer the gateway or the client elsewhere."""
    foreign = ("OPENAI_", "MISTRAL_", "PASSERELLE__")
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    # Where a proxy is set, calls to this machine must not go through it.
    kept["NO_PROXY"] = kept["no_proxy"] = "127.0.0.1,localhost"
    return kept


def check_usage(usage):
    expect(usage is not None, "no usage")
    expect(usage.prompt_tokens > 0, f"prompt_tokens is {usage.prompt_tokens}")
    expect(usage.completion_tokens > 0, f"completion_tokens is {usage.completion_tokens}")
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage does not add up: {usage}")


def check_headers(headers, route, answered_by):
    """Names the vendor, model and host, and agrees with the answer's own model."""
    for name in ("x-request-id", "x-passerelle-provider", "x-passerelle-model", "x-passerelle-host"):
        expect(headers.get(name), f"no header {name}")
    provider = headers["x-passerelle-provider"]
    expect(provider in ROUTES[route], f"x-passerelle-provider is {provider!r}")
    for model in (headers["x-passerelle-model"], answered_by):
        expect(model and model.startswith(FAMILIES[provider]), f"model {model!r} is not one of {provider}")


def check_answer(client, route):
    raw = client.chat.completions.with_raw_response.create(model=route, messages=QUESTION)
    answer = raw.parse()
    expect(answer.object == "chat.completion", f"object is {answer.object!r}")
    expect(len(answer.choices) == 1, f"{len(answer.choices)} choices")
    choice = answer.choices[0]
    expect(choice.message.role == "assistant", f"role is {choice.message.role!r}")
    text = choice.message.content
    expect(isinstance(text, str) and text.strip(), f"text is {text!r}")
    expect(choice.finish_reason == "stop", f"finish_reason is {choice.finish_reason!r}")
    check_usage(answer.usage)
    check_headers(raw.headers, route, answer.model)
    cost = raw.headers.get("x-passerelle-cost-eur")
    expect(cost is not None, "no header x-passerelle-cost-eur")
    expect(Decimal(cost) > 0, f"x-passerelle-cost-eur is {cost!r}")


def read_stream(client, route, **options):
    """All chunks of a streamed answer, after the checks that hold with and without usage."""
    with client.chat.completions.create(model=route, messages=QUESTION, stream=True, **options) as stream:
        headers = stream.response.headers
        chunks = list(stream)
    expect(chunks, "no chunk")
    expect(len({chunk.id for chunk in chunks}) == 1, "the id changes within the stream")
    expect(len({chunk.model for chunk in chunks}) == 1, "the model changes within the stream")
    check_headers(headers, route, chunks[0].model)
    # Headers leave before the answer is complete: a cost there could only be wrong.
    expect("x-passerelle-cost-eur" not in headers, "a stream's headers name a cost")
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    expect(isinstance(text, str) and text.strip(), f"text is {text!r}")
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason is not None]
    expect(reasons == ["stop"], f"finish reasons are {reasons}")
    return chunks


def check_stream_with_usage(client, route):
    chunks = read_stream(client, route, stream_options={"include_usage": True})
    *former, last = chunks
    expect(last.choices == [], "the last chunk has choices, not the usage alone")
    check_usage(last.usage)
    expect(all(chunk.choices and chunk.usage is None for chunk in former), "a chunk before the last has usage")


def check_stream_without_usage(client, route):
    chunks = read_stream(client, route)
    # Many programs read choices[0] of every chunk.
    expect(all(chunk.choices for chunk in chunks), "a chunk without choices, though no usage was asked for")
    expect(all(chunk.usage is None for chunk in chunks), "usage, though none was asked for")


def check_models(client):
    ids = [model.id for model in client.models.list()]
    missing = set(ROUTES) - set(ids)
    expect(not missing, f"not in the list: {sorted(missing)}")
    expect(len(ids) == len(set(ids)), "a model is listed twice")


def check_model(client, route):
    model = client.models.retrieve(route)
    expect(model.id == route, f"id is {model.id!r}")
    expect(model.object == "model", f"object is {model.object!r}")


def check_refused(kind, code, call):
    """The call fails with this class of the client's errors and this code."""
    try:
        call()
    except kind as error:
        expect(error.code == code, f"code is {error.code!r}, not {code!r}")
        expect(error.message, "no message")
        expect(error.request_id, "no request id")
    else:
        raise Failure("was answered")


def other_key(key):
    """A key of the right form that nobody was given."""
    # Not the last character: in some encodings it carries bits that do not count.
    place = len(key) - 6
    letter = "b" if key[place] in "aA" else "a"
    return key[:place] + letter + key[place + 1 :]


def check_revoked(town, client):
    town.command("keys", "revoke", "--config", town.config, town.key)
    # The very next call, without a pause: a revoked key must not live on in a cache.
    check_refused(
        openai.AuthenticationError,
        "invalid_api_key",
        lambda: client.chat.completions.create(model=OPENAI_MODEL, messages=QUESTION),
    )


def run_checks(town, checks):
    if not checks.run("simulators and gateway start, a key is issued", town.start):
        return
    with town.client() as client, town.client(other_key(town.key)) as stranger:
        checks.run("models.list", check_models, client)
        for route in ROUTES:
            checks.run(f"models.retrieve {route}", check_model, client, route)
            checks.run(f"answer from {route}", check_answer, client, route)
            checks.run(f"stream from {route} with usage", check_stream_with_usage, client, route)
            checks.run(f"stream from {route} without usage", check_stream_without_usage, client, route)
        checks.run(
            "wrong key",
            check_refused,
            openai.AuthenticationError,
            "invalid_api_key",
            lambda: stranger.chat.completions.create(model=OPENAI_MODEL, messages=QUESTION),
        )
        checks.run(
            "unknown model",
            check_refused,
            openai.NotFoundError,
            "model_not_found",
            lambda: client.chat.completions.create(model="no-such-model", messages=QUESTION),
        )
        checks.run("revoked key", check_revoked, town, client)
    checks.run("gateway ends on SIGTERM", town.stop_gateway)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Tests a passerelle binary with the OpenAI client for Python, against simulated vendors.",
        epilog="example: openai_python.py --binary target/debug/passerelle",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the passerelle program to test")
    arguments = parser.parse_args()
    if not arguments.binary.is_file():
        parser.error(f"no such program: {arguments.binary} (cargo build makes it)")
    return arguments


def main():
    arguments = parse_arguments()
    # The client reads its settings from this process's environment.
    settings = without_settings(os.environ)
    os.environ.clear()
    os.environ.update(settings)
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
        town = Town(str(arguments.binary.resolve()), Path(folder))
        try:
            run_checks(town, checks)
        finally:
            town.stop()
        if checks.failed:
            for process in town.processes:
                print(f"-- end of the stderr of {process.name}:", file=sys.stderr)
                print("\n".join(process.stderr_tail()), file=sys.stderr, flush=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
