"""Two simulated vendors, a gateway before them and residents' keys, all on this machine.

Nothing leaves it and nothing is paid. Knows no client.
"""

import contextlib
import http.client
import http.server
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections import Counter

START_SECONDS = 30
# Longer than the gateway's own patience with calls under way.
STOP_SECONDS = 60

CONFIG = """\
[server]
public = "127.0.0.1:0"
mairie = "127.0.0.1:0"
ops = "127.0.0.1:0"

[ledger]
path = "{folder}/ledger.sqlite"
# No power cut is expected during a test.
durability = "normal"

[identity]
secret_file = "{folder}/secret"

# A test asks faster than a person.
[plans.resident]
requests_per_minute = 6000
burst = 1000
simultaneous = 32
questions_per_day = 10000
tokens_per_day = 100000000
euros_per_month = "100.00"

# Everything is spent from the start.
[plans.spent]
requests_per_minute = 6000
burst = 1000
simultaneous = 32
questions_per_day = 0
tokens_per_day = 100000000
euros_per_month = "100.00"
max_output_tokens = 1024
hosts = "any"
models = []

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


def without_settings(environment):
    """The environment without what would steer the gateway or a client elsewhere."""
    foreign = (
        "OPENAI_",
        "MISTRAL_",
        "PASSERELLE__",
        "LANGCHAIN_",
        "LANGSMITH_",
        "LLM_",
        "AI_",
        "OTEL_",
        "PYDANTIC_AI_",
    )
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    # Where a proxy is set, calls to this machine must not go through it.
    kept["NO_PROXY"] = kept["no_proxy"] = "127.0.0.1,localhost"
    return kept


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
    """Two simulated vendors, a gateway before them, and as many keys as are asked for."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.config = folder / "passerelle.toml"
        self.processes = []
        self.environment = without_settings(os.environ)
        self.environment["OPENAI_API_KEY"] = "openai-key-of-the-test"
        self.environment["MISTRAL_API_KEY"] = "mistral-key-of-the-test"
        self.gateway = None
        self.addresses = {}
        self.public = None
        self.counter = None

    def start(self):
        openai_url = self.simulate("openai")
        mistral_url = self.simulate("mistral")
        self.config.write_text(
            CONFIG.format(folder=self.folder, openai=openai_url, mistral=mistral_url), encoding="utf-8"
        )
        self.serve()
        self.counter = Counting(self.public)

    def spawn(self, name, *arguments):
        process = Process(name, [self.binary, *map(str, arguments)], self.environment, self.folder)
        self.processes.append(process)
        return process

    def simulate(self, dialect):
        name = f"simulate-{dialect}"
        # Frames apart in time, as a vendor sends them, but not for long.
        waits = ("--first-token-ms", "20", "--inter-token-ms", "1")
        process = self.spawn(name, "simulate", "--dialect", dialect, "--listen", "127.0.0.1:0", "--seed", "7", *waits)
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
        self.addresses = addresses
        self.public = addresses["public"]

    def issue(self, plan, count):
        keys = self.command("keys", "issue", "--config", self.config, "--plan", plan, "--count", str(count)).split()
        expect(len(keys) == count, f"asked for {count} keys, got {len(keys)}")
        return keys

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

    def stop_gateway(self):
        code = self.gateway.stop()
        expect(code == 0, f"exit code {code}")

    def stop(self):
        if self.counter:
            self.counter.stop()
        # Last started first: the gateway before its vendors.
        for process in reversed(self.processes):
            with contextlib.suppress(Failure):
                process.stop()


class Counting:
    """Hands calls on to the gateway and counts them by key, so that a client's retries are seen.

    `GET /calls/KEY` tells the count. Reads whole answers: not for streams.
    """

    def __init__(self, gateway):
        self.calls = Counter()
        counting = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path.startswith("/calls/"):
                    count = counting.calls[self.path.removeprefix("/calls/")]
                    self.answer(200, [("content-type", "text/plain")], str(count).encode())
                else:
                    self.hand_on()

            def do_POST(self):
                self.hand_on()

            def hand_on(self):
                counting.calls[self.headers.get("authorization", "").removeprefix("Bearer ")] += 1
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                upstream = http.client.HTTPConnection(gateway.removeprefix("http://"), timeout=30)
                try:
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    self.answer(answer.status, answer.getheaders(), answer.read())
                finally:
                    upstream.close()

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                """Keeps the test's output to the checks."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
