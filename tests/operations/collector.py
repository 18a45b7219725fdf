#!/usr/bin/env python3
"""Sends traces through a real collector, and reads what it passes on.

    collector.py --binary target/debug/passerelle

Simulated vendors, a gateway and Rotel, a collector of OpenTelemetry, run on loopback. Rotel takes the gateway's spans apart
and sends them on, as it would to the town's store of traces; they are read there with OpenTelemetry's own definitions.
Every answer must have its trace, whole; a collector that was away must miss nothing. Prints what came; exits with 1 when
anything is not so.
"""

import argparse
import gzip
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import rotel
from observed import Handler, Server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from problems import Problems
from prometheus import free_port

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
from town import START_SECONDS, Failure, Town, expect, without_settings

PROGRAM = Path(rotel.__file__).parent / "rotel-agent"
PATIENCE_SECONDS = 30
# Nobody but the vendor may read it.
SECRET = "le-secret-du-resident"
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
MODELS = ("gpt-6-luna", "mistral-small-latest")


class Store:
    """Where the collector sends what it took: every span, and the bytes it came in."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spans = []
        self.resources = []
        self.bytes = b""
        store = self

        class Receiver(Handler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                store.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response_only(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = Server(Receiver)

    def take(self, body):
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.bytes += body
            for group in request.resource_spans:
                self.resources.append({pair.key: pair.value.string_value for pair in group.resource.attributes})
                self.spans.extend(span for scope in group.scope_spans for span in scope.spans)

    def traces(self):
        """All spans that are there, by trace."""
        traces = {}
        with self.lock:
            for span in self.spans:
                traces.setdefault(span.trace_id.hex(), []).append(span)
        return traces


class Collector:
    """Rotel, on a port that stays its own while it is away."""

    def __init__(self, store, folder):
        self.port = free_port()
        self.store = store
        self.folder = folder
        self.log = (folder / "collector.log").open("wb")
        self.child = None

    def start(self):
        self.child = subprocess.Popen(
            [
                PROGRAM,
                "start",
                *("--otlp-http-endpoint", f"127.0.0.1:{self.port}"),
                *("--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"),
                *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
                *("--otlp-exporter-endpoint", self.store.server.address),
                *("--pid-file", self.folder / "collector.pid"),
            ],
            env=without_settings({"PATH": "/usr/bin:/bin"}),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"the collector does not start:\n{(self.folder / 'collector.log').read_text()}")
            time.sleep(0.1)

    def answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait(timeout=30)

    def close(self):
        self.stop()
        self.log.close()


class TracedTown(Town):
    """The town of the clients' tests, which tells a collector."""

    def __init__(self, binary, folder, collector):
        super().__init__(binary, folder)
        self.environment["PASSERELLE__TELEMETRY__OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.port}"
        self.environment["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=test"

    def get(self, listener, path):
        connection = http.client.HTTPConnection(self.addresses[listener].removeprefix("http://"), timeout=30)
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def ask(self, key, model, stream=False, headers=None):
        """The status and the request's id, once the answer is read to its end."""
        connection = http.client.HTTPConnection(self.public.removeprefix("http://"), timeout=30)
        try:
            question = {"model": model, "stream": stream, "messages": [{"role": "user", "content": SECRET}]}
            headers = {"authorization": f"Bearer {key}", **(headers or {})}
            connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["x-request-id"]
        finally:
            connection.close()


def attributes(span):
    """Its attributes; each value in its own type."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def of_kind(spans, kind):
    return [span for span in spans if span.kind == kind]


def wait_for(store, ids):
    """The trace of every request in `ids`, by id."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = {}
        for spans in store.traces().values():
            for server in of_kind(spans, Span.SPAN_KIND_SERVER):
                found[attributes(server)["passerelle.request.id"]] = spans
        if set(ids) <= set(found) or time.monotonic() > deadline:
            return {request: found[request] for request in ids if request in found}
        time.sleep(0.1)


def check_trace(request, status, spans, problems):
    """One server span above all, an attempt below it, nobody without a parent, nobody outside its time."""
    servers = of_kind(spans, Span.SPAN_KIND_SERVER)
    problems.expect(len(servers) == 1, f"{request}: {len(servers)} server spans in one trace")
    root = servers[0]
    problems.expect(attributes(root)["http.response.status_code"] == status, f"{request}: another status")
    problems.expect(len({span.span_id for span in spans}) == len(spans), f"{request}: a span came twice")
    for span in spans:
        problems.expect(span.end_time_unix_nano >= span.start_time_unix_nano, f"{request}: {span.name} ends first")
        if span is not root:
            problems.expect(span.parent_span_id == root.span_id, f"{request}: {span.name} is nobody's")
            problems.expect(span.start_time_unix_nano >= root.start_time_unix_nano, f"{request}: {span.name} is early")
    attempts = of_kind(spans, Span.SPAN_KIND_CLIENT)
    problems.expect(len(attempts) == (1 if status == 200 else 0), f"{request}: {len(attempts)} attempts")
    for attempt in attempts:
        said = attributes(attempt)
        problems.expect(re.fullmatch(r"chat (gpt|mistral)-\S+", attempt.name), f"{request}: named {attempt.name}")
        problems.expect(said["gen_ai.provider.name"] in ("openai", "mistral_ai"), f"{request}: of no vendor")
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "passerelle.cost.euro_nanos"):
            problems.expect(isinstance(said.get(name), int) and said[name] > 0, f"{request}: {name} {said.get(name)}")


def check(arguments, folder, problems):
    store = Store()
    collector = Collector(store, folder)
    town = TracedTown(str(arguments.binary.resolve()), folder, collector)
    try:
        collector.start()
        town.start()
        key = town.issue("resident", 1)[0]
        asked = [town.ask(key, model, stream) for model in MODELS for stream in (False, True) for _ in range(10)]
        asked.append(town.ask(key, "no-such-model"))
        asked.append(town.ask(key, MODELS[0], headers={"traceparent": f"00-{CALLER}-00f067aa0ba902b7-01"}))
        statuses = {request: status for status, request in asked}
        expect(sorted(set(statuses.values())) == [200, 404], f"statuses {sorted(set(statuses.values()))}")
        traces = wait_for(store, statuses)
        problems.expect(
            len(traces) == len(statuses), f"{len(statuses) - len(traces)} of {len(statuses)} traces are missing"
        )
        for request, spans in traces.items():
            check_trace(request, statuses[request], spans, problems)
        mine = store.traces().get(CALLER, [])
        root = [span for span in mine if span.kind == Span.SPAN_KIND_SERVER]
        problems.expect(
            root and root[0].parent_span_id.hex() == "00f067aa0ba902b7", "the caller's trace is not continued"
        )
        print(f"{len(traces)} of {len(statuses)} requests have their trace, {sum(map(len, traces.values()))} spans")

        collector.stop()
        late = [town.ask(key, MODELS[1])[1] for _ in range(5)]
        # The gateway has tried at least once by now, and found nobody.
        time.sleep(3)
        collector.start()
        found = wait_for(store, late)
        problems.expect(len(found) == len(late), f"of {len(late)} requests while it was away, {len(found)} came later")
        print(f"{len(found)} of {len(late)} requests asked while the collector was away")

        dropped = re.search(r"(?m)^passerelle_spans_dropped_total (\S+)$", town.get("ops", "/metrics"))
        problems.expect(dropped and float(dropped[1]) == 0, f"spans were dropped: {dropped and dropped[1]}")
        wanted = {"service.name": "passerelle", "deployment.environment.name": "test"}
        for resource in store.resources:
            problems.expect(wanted.items() <= resource.items(), f"resource {resource}")
        for secret in (SECRET, key, town.environment["OPENAI_API_KEY"], town.environment["MISTRAL_API_KEY"]):
            problems.expect(secret.encode() not in store.bytes, "a secret is in what the collector passed on")
        print(f"{len(store.bytes)} bytes passed on, no secret among them")
    finally:
        town.stop()
        collector.close()
        store.server.stop()


def main():
    parser = argparse.ArgumentParser(
        description="Sends traces through a real collector, and reads what it passes on.",
        epilog="example: collector.py --binary target/debug/passerelle",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the passerelle program to trace")
    arguments = parser.parse_args()
    if not arguments.binary.is_file():
        parser.error(f"no such program: {arguments.binary} (cargo build makes it)")
    problems = Problems()
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-collector-") as folder:
            check(arguments, Path(folder), problems)
    except Failure as error:
        problems.add(str(error))
    return 1 if problems.count else 0


if __name__ == "__main__":
    sys.exit(main())
