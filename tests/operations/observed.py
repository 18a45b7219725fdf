"""A town whose every panel has something to show: simulated vendors that fail now and then, residents at their limits,
duels, probes, clients that leave, a webhook, other terms.

Nothing leaves this machine and nothing is paid. Knows no dashboard and no Prometheus.
"""

import contextlib
import http.client
import http.server
import itertools
import json
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
from town import START_SECONDS, Failure, Town, expect

TOKEN = "token-of-the-mairie-of-the-test"
# One of them has a date of retirement in the catalogue that ships.
MODELS = ("openai/gpt-6-luna", "openai/gpt-5.4-nano-2026-03-17", "mistral_ai/mistral-small-latest")
QUESTION = {"messages": [{"role": "user", "content": "Quels papiers pour une procuration ?"}]}

CONFIG = """\
[server]
public = "127.0.0.1:0"
mairie = "127.0.0.1:0"
ops = "127.0.0.1:0"

[mairie]
token = "{token}"

[ledger]
path = "{folder}/ledger.sqlite"
durability = "normal"

[identity]
secret_file = "{folder}/secret"

[alerts]
# A question or two reach it.
hourly_floor_euros = "0.00001"
check_seconds = 1
webhook_url = "{webhook}"
webhook_secret = "dGhlIHNlY3JldCBvZiBhIHRlc3Qgd2l0aCAzMiBieXRlcw=="

[comparison]
models = {models}
probe_euros_per_month = "25.00"
duel_euros_per_month = "25.00"

[upstream]
# A client that leaves is soon one whose answer costs an unknown sum.
drain_seconds = 1

[plans.resident]
requests_per_minute = 6000
burst = 1000
simultaneous = 32
questions_per_day = 100000
tokens_per_day = 100000000
euros_per_month = "100.00"

# One question of the day, and not one cent: each of its refusals has another reason.
[plans.trial]
requests_per_minute = 6000
burst = 1000
simultaneous = 32
questions_per_day = 1
tokens_per_day = 100000000
euros_per_month = "100.00"
max_output_tokens = 64
hosts = "any"
models = []

[plans.poor]
requests_per_minute = 6000
burst = 1000
simultaneous = 32
questions_per_day = 100000
tokens_per_day = 100000000
euros_per_month = "0.00"
max_output_tokens = 64
hosts = "any"
models = []

[providers.openai]
base_url = "{openai}/v1"

[providers.mistral_ai]
base_url = "{mistral}/v1"
"""


class Handler(http.server.BaseHTTPRequestHandler):
    """What the two servers below share: silence."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Keeps the test's output to the checks."""


class Server:
    """An HTTP server on a loopback port, in threads."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def webhook():
    """The mairie's receiver of alerts."""

    class Receiver(Handler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response_only(204)
            self.end_headers()

    return Server(Receiver)


def limited(vendor):
    """Hands calls on to `vendor`, and says in each answer what is left of the account's limits, as vendors do."""
    left = itertools.count(900, -1)

    class Front(Handler):
        def do_GET(self):
            self.hand_on()

        def do_POST(self):
            self.hand_on()

        def hand_on(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            upstream = http.client.HTTPConnection(vendor.removeprefix("http://"), timeout=60)
            try:
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("x-ratelimit-limit-requests", "1000")
                self.send_header("x-ratelimit-remaining-requests", str(max(next(left), 100)))
                self.send_header("x-ratelimit-limit-tokens", "1000000")
                self.send_header("x-ratelimit-remaining-tokens", "750000")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                while piece := answer.read1(65536):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                # Whoever asked has left.
                self.close_connection = True
            finally:
                upstream.close()

    return Server(Front)


class ObservedTown(Town):
    """The town of the clients' tests, with vendors that fail and residents who never rest."""

    def __init__(self, binary, folder):
        super().__init__(binary, folder)
        self.ended = threading.Event()
        self.servers = []
        self.threads = []

    def start(self):
        openai = limited(self.failing("openai"))
        mistral = self.failing("mistral")
        receiver = webhook()
        self.servers = [openai, receiver]
        text = CONFIG.format(
            folder=self.folder,
            token=TOKEN,
            models=json.dumps(MODELS),
            webhook=receiver.address,
            openai=openai.address,
            mistral=mistral,
        )
        self.config.write_text(text, encoding="utf-8")
        self.serve()

    def failing(self, dialect):
        """A simulated vendor of which one call in eight fails."""
        waits = ("--first-token-ms", "30", "--inter-token-ms", "4", "--error-rate", "0.12")
        name = f"simulate-{dialect}"
        process = self.spawn(name, "simulate", "--dialect", dialect, "--listen", "127.0.0.1:0", "--seed", "11", *waits)
        line = process.next_line(time.monotonic() + START_SECONDS)
        expect(line.startswith("listening on http://127.0.0.1:"), f"{name}: unexpected first line {line!r}")
        return line.removeprefix("listening on ")

    def live(self):
        """Lets residents ask until `stop`."""
        keys = self.issue("resident", 5)
        trial, poor = self.issue("trial", 1)[0], self.issue("poor", 1)[0]
        habits = [
            lambda: self.talk(keys[0], "auto", stream=True),
            lambda: self.talk(keys[1], "auto", stream=False),
            lambda: [self.talk(keys[2], model, stream=True) for model in MODELS],
            lambda: self.others(keys[3]),
            lambda: self.duel(keys[4]),
            lambda: self.refused(trial, poor),
            self.leave_in_between(keys[3]),
            self.look_after,
        ]
        for habit in habits:
            thread = threading.Thread(target=self.repeat, args=(habit,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def repeat(self, habit):
        while not self.ended.is_set():
            # Vendors fail on purpose, and a client that leaves is part of the play.
            with contextlib.suppress(OSError, http.client.HTTPException):
                habit()
            self.ended.wait(0.2)

    def call(self, method, path, key, body=None, listener="public"):
        """The status and the body of an answer that is read to its end."""
        connection = http.client.HTTPConnection(self.addresses[listener].removeprefix("http://"), timeout=30)
        try:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def talk(self, key, model, stream):
        self.call("POST", "/v1/chat/completions", key, {**QUESTION, "model": model, "stream": stream})

    def others(self, key):
        self.call("POST", "/v1/embeddings", key, {"model": "text-embedding-3-small", "input": "La mairie"})
        self.call("POST", "/v1/moderations", key, {"model": "omni-moderation-latest", "input": "La mairie"})
        self.call("POST", "/v1/responses", key, {"model": "auto", "input": "La mairie est-elle ouverte ?"})

    def duel(self, key):
        status, text = self.call("POST", "/v1/duels", key, QUESTION)
        if status == 200 and "event: done" in text:
            duel = json.loads(text.split("event: duel\ndata: ", 1)[1].split("\n", 1)[0])
            self.call("POST", f"/v1/duels/{duel['id']}/vote", key, {"choice": "tie"})

    def refused(self, trial, poor):
        self.talk(trial, "auto", stream=False)
        self.talk(poor, "auto", stream=False)
        self.talk(trial, "no-such-model", stream=False)
        self.talk("psk-of-nobody", "auto", stream=False)

    def leave_in_between(self, key):
        """A resident who leaves once the first words are there."""

        def leave():
            connection = http.client.HTTPConnection(self.public.removeprefix("http://"), timeout=30)
            try:
                body = {**QUESTION, "model": "mistral-small-latest", "stream": True, "max_tokens": 1000}
                connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {key}"})
                connection.getresponse().read1(64)
            finally:
                connection.close()

        return leave

    def look_after(self):
        """What the mairie and the operator do now and then: a round of probes, other terms."""
        self.call("POST", "/admin/v1/probes", TOKEN, {"questions": 1}, listener="mairie")
        self.gateway.child.send_signal(signal.SIGHUP)
        self.ended.wait(3)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(timeout=35)
        super().stop()
        for server in self.servers:
            server.stop()


__all__ = ["Failure", "ObservedTown", "expect"]
