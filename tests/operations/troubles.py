#!/usr/bin/env python3
"""Ten kinds of trouble made on purpose: what residents get, what the operator sees, which alerts fire.

    troubles.py --binary target/debug/passerelle
    troubles.py --binary target/debug/passerelle --only disk-full --only vendor-down
    troubles.py --binary target/debug/passerelle --markdown > troubles.md

Each trouble has its own gateway between two simulated vendors, and a real Prometheus with the project's rules; the time
that an alert waits before it fires is shortened to seconds. Then the trouble ends, and the gateway must serve again with
sound books. Exits with 1 when an expected alert does not fire, or the books do not hold. Root only: it mounts, limits
memory, and hides a host's name. Takes about five minutes, and needs Debian's packages prometheus, faketime and openssl.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
from prometheus import Prometheus
from town import START_SECONDS, Failure, Town, expect

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 75
VENDOR_HOST = "vendor.passerelle.test"
QUESTION = {"messages": [{"role": "user", "content": "Quels papiers pour une procuration ?"}], "max_tokens": 40}
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

CONFIG = """\
[server]
public = "127.0.0.1:0"
mairie = "127.0.0.1:0"
ops = "127.0.0.1:0"
{server}

[ledger]
path = "{ledger}/ledger.sqlite"

[identity]
secret_file = "{folder}/secret"

[upstream]
connect_seconds = 2
breaker_failures = 4
breaker_seconds = 5

[plans.resident]
requests_per_minute = 6000
burst = 1000
simultaneous = 64
questions_per_day = 100000
tokens_per_day = 100000000
euros_per_month = "100.00"

[routes.auto]
fallback = false

[providers.openai]
base_url = "{openai}/v1"
catalogue = "openai.toml"

[providers.mistral_ai]
base_url = "{mistral}/v1"
"""


class Front:
    """A vendor's door: lets calls through to a simulated vendor, keeps them waiting, refuses their key, or is shut."""

    def __init__(self, vendor, port=0):
        front = self
        self.refuses = False
        self.is_shut = False
        self.waits = 0.0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                """Keeps the output to the troubles."""

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if front.is_shut:
                    # Connections that were open before end too.
                    self.close_connection = True
                    return
                if front.refuses:
                    self.answer(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
                    return
                time.sleep(front.waits)
                with contextlib.suppress(OSError, http.client.HTTPException):
                    upstream = http.client.HTTPConnection(vendor.removeprefix("http://"), timeout=60)
                    upstream.request("POST", self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    self.send_response_only(answer.status)
                    self.send_header("content-type", answer.headers["content-type"])
                    self.send_header("date", self.date_time_string())
                    self.send_header("transfer-encoding", "chunked")
                    self.end_headers()
                    while piece := answer.read1(65536):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                    upstream.close()

            def answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response_only(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *arguments):
                """A gateway that hangs up is no news."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.vendor = vendor
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.is_shut = True
        self.server.shutdown()
        self.server.server_close()


class TroubledTown(Town):
    """Two vendors behind doors, a gateway, residents who ask all the time, and a Prometheus that watches."""

    def __init__(self, binary, folder):
        super().__init__(binary, folder)
        self.ledger_folder = folder
        self.server_lines = ""
        self.openai_address = None
        self.gateway_prefix = []
        self.gateway_environment = {}
        self.fronts = []
        self.counts = {}
        self.last_refusal = ""
        self.over = threading.Event()
        self.asking = []
        self.prometheus = None

    def begin(self):
        shutil.copy(ROOT / "providers" / "catalogue" / "openai.toml", self.folder / "openai.toml")
        self.fronts = [Front(self.vendor(dialect)) for dialect in ("openai", "mistral")]
        addresses = [f"http://127.0.0.1:{front.port}" for front in self.fronts]
        text = CONFIG.format(
            folder=self.folder,
            ledger=self.ledger_folder,
            server=self.server_lines,
            openai=self.openai_address or addresses[0],
            mistral=addresses[1],
        )
        if self.openai_address:
            text = text.replace(f"{self.openai_address}/v1", f"{self.openai_address}:{self.fronts[0].port}/v1")
        self.config.write_text(text, encoding="utf-8")
        self.serve()
        self.key = self.issue("resident", 1)[0]
        self.prometheus = Prometheus(self.addresses["ops"].removeprefix("http://"), self.folder)
        for file in (self.prometheus.folder / "rules").glob("*.yml"):
            shorter = re.sub(r"(?m)^(\s+for): \w+$", r"\1: 3s", file.read_text(encoding="utf-8"))
            file.write_text(shorter, encoding="utf-8")
        self.prometheus.start()
        for number in range(4):
            thread = threading.Thread(target=self.keep_asking, args=(number,), daemon=True)
            thread.start()
            self.asking.append(thread)

    def vendor(self, dialect):
        waits = ("--first-token-ms", "30", "--inter-token-ms", "2")
        process = self.spawn(f"simulate-{dialect}", "simulate", "--dialect", dialect, *waits)
        return process.next_line(time.monotonic() + START_SECONDS).removeprefix("listening on ")

    def serve(self):
        """As the town does; the public listener may have a certificate."""
        self.gateway = self.spawn("serve", "serve", "--config", self.config)
        self.addresses = {}
        while len(self.addresses) < 3:
            line = self.gateway.next_line(time.monotonic() + START_SECONDS)
            match = re.fullmatch(r"(public|mairie|ops) listening on (https?://127\.0\.0\.1:\d+)", line)
            if match:
                self.addresses[match.group(1)] = match.group(2)
        self.public = self.addresses["public"]

    def connection(self):
        """A new connection to the residents' listener."""
        kind, host = self.public.split("://")
        if kind == "http":
            return http.client.HTTPConnection(host, timeout=40)
        trust = ssl.create_default_context(cafile=self.folder / "trusted.pem")
        return http.client.HTTPSConnection(host, timeout=40, context=trust)

    def spawn(self, name, *arguments):
        """As the town does, but the gateway may run under something."""
        if name != "serve" or not (self.gateway_prefix or self.gateway_environment):
            return super().spawn(name, *arguments)
        binary, environment = self.binary, self.environment
        wrapper = self.folder / "gateway.sh"
        prefix = " ".join(self.gateway_prefix)
        wrapper.write_text(f'#!/bin/sh\n{prefix}\nexec "{Path(binary).resolve()}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
        self.binary, self.environment = str(wrapper), {**environment, **self.gateway_environment}
        try:
            return super().spawn(name, *arguments)
        finally:
            self.binary, self.environment = binary, environment

    def keep_asking(self, number):
        model = ("gpt-6-luna", "mistral-small-latest")[number % 2]
        while not self.over.wait(0.1):
            self.ask(model, stream=number >= 2)

    def ask(self, model, stream=False, **more):
        """Asks once, and counts what came of it."""
        outcome = "no answer"
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = self.connection()
            try:
                body = json.dumps({**QUESTION, "model": model, "stream": stream, **more})
                connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {self.key}"})
                answer = connection.getresponse()
                text = answer.read().decode()
                outcome = str(answer.status)
                if answer.status >= 400:
                    error = json.loads(text)["error"]
                    outcome = f"{answer.status} {error['code'] or error['type']}"
                    self.last_refusal = error["message"]
            finally:
                connection.close()
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        return outcome

    def get(self, path):
        try:
            connection = http.client.HTTPConnection(self.addresses["ops"].removeprefix("http://"), timeout=10)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return f"{answer.status} {answer.read().decode().strip()}" if path != "/metrics" else answer.read().decode()
            finally:
                connection.close()
        except OSError as error:
            return f"no answer ({type(error).__name__})"

    def firing(self):
        alerts = self.prometheus.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def log_lines(self):
        text = (self.folder / "serve.stderr").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if re.search(r"\b(WARN|ERROR)\b|^passerelle:|panicked|memory", line)]

    def end(self):
        self.over.set()
        for thread in self.asking:
            thread.join(timeout=60)
        if self.prometheus:
            self.prometheus.stop()
        with contextlib.suppress(Failure):
            super().stop()
        for front in self.fronts:
            with contextlib.suppress(OSError):
                front.stop()


class Trouble:
    """One kind of trouble: how it is prepared, made and ended."""

    name = ""
    # Alerts that must fire. Others may.
    alerts = ()
    # Whether the process survives it.
    survives = True

    def prepare(self, town):
        """Before the gateway starts."""

    def make(self, town):
        raise NotImplementedError

    def end(self, town):
        """So that the gateway can serve again."""


class DiskFull(Trouble):
    name = "disk-full"
    alerts = ("PasserelleLedgerNotWritable", "PasserelleLedgerRefusesWrites")

    def prepare(self, town):
        town.ledger_folder = town.folder / "disk"
        town.ledger_folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", town.ledger_folder], check=True)

    def make(self, town):
        with contextlib.suppress(OSError), (town.ledger_folder / "ballast").open("wb") as ballast:
            while True:
                ballast.write(b"\0" * 65536)
                ballast.flush()

    def end(self, town):
        (town.ledger_folder / "ballast").unlink()


class VendorDown(Trouble):
    name = "vendor-down"
    alerts = ("PasserelleVendorFailing",)

    def make(self, town):
        town.fronts[0].stop()

    def end(self, town):
        town.fronts[0] = Front(town.fronts[0].vendor, town.fronts[0].port)


class VendorSlow(Trouble):
    name = "vendor-slow"
    alerts = ("PasserelleFirstWordsLate",)

    def make(self, town):
        for front in town.fronts:
            front.waits = 12.0
        # Slow calls are few: more residents wait.
        for _ in range(6):
            threading.Thread(target=town.keep_asking, args=(2,), daemon=True).start()

    def end(self, town):
        for front in town.fronts:
            front.waits = 0.0


class VendorKeyRevoked(Trouble):
    name = "vendor-key-revoked"
    alerts = ("PasserelleVendorKeyRejected",)

    def make(self, town):
        town.fronts[0].refuses = True

    def end(self, town):
        town.fronts[0].refuses = False


class DnsGone(Trouble):
    name = "dns-gone"
    alerts = ("PasserelleVendorFailing",)

    def prepare(self, town):
        self.hosts = town.folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {VENDOR_HOST}\n", encoding="utf-8")
        (town.folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="utf-8")
        town.openai_address = f"http://{VENDOR_HOST}"
        mounts = f"mount --bind {self.hosts} /etc/hosts && mount --bind {town.folder}/resolv.conf /etc/resolv.conf"
        town.gateway_prefix = [f'[ "$IN_OWN_MOUNTS" ] || IN_OWN_MOUNTS=1 exec unshare -m "$0" "$@"\n{mounts}']

    def make(self, town):
        self.hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        # Connections that are open need no name.
        self.end_door(town)

    def end_door(self, town):
        town.fronts[0].stop()
        town.fronts[0] = Front(town.fronts[0].vendor, town.fronts[0].port)

    def end(self, town):
        self.hosts.write_text(f"127.0.0.1 localhost {VENDOR_HOST}\n", encoding="utf-8")


class ClockJumps(Trouble):
    name = "clock-jumps"
    alerts = ("PasserelleClockWrong",)

    def prepare(self, town):
        self.offset = town.folder / "offset"
        self.offset.write_text("+0\n", encoding="utf-8")
        town.gateway_environment = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def make(self, town):
        self.offset.write_text("-600\n", encoding="utf-8")

    def end(self, town):
        self.offset.write_text("+0\n", encoding="utf-8")


class CertificateExpired(Trouble):
    name = "certificate-expired"
    alerts = ("PasserelleCertificateExpiresIn7Days", "PasserelleReloadRefused")

    def prepare(self, town):
        self.make_pair(town, "2")
        town.server_lines = f'[server.tls]\ncertificate = "{town.folder}/cert.pem"\nkey = "{town.folder}/key.pem"\n'

    def make_pair(self, town, days):
        for old in ("cert.pem.new", "key.pem.new"):
            (town.folder / old).unlink(missing_ok=True)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-keyout", town.folder / "key.pem.new", "-out", town.folder / "cert.pem.new"]
        if days == "expired":
            command = ["faketime", "-f", "-10d", *command, "-days", "2"]
        else:
            command += ["-days", days]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with (town.folder / "trusted.pem").open("a") as trusted:
            trusted.write((town.folder / "cert.pem.new").read_text())
        for name in ("key.pem", "cert.pem"):
            (town.folder / f"{name}.new").rename(town.folder / name)

    def make(self, town):
        self.make_pair(town, "expired")

    def end(self, town):
        self.make_pair(town, "90")



class DatabaseLocked(Trouble):
    name = "database-locked"
    alerts = ("PasserelleLedgerNotWritable", "PasserelleLedgerRefusesWrites")

    def make(self, town):
        self.held = sqlite3.connect(town.ledger_folder / "ledger.sqlite", isolation_level=None)
        self.held.execute("BEGIN IMMEDIATE")

    def end(self, town):
        self.held.rollback()
        self.held.close()


class MemoryLimit(Trouble):
    name = "memory-limit"
    alerts = ("PasserelleDown",)
    survives = False

    def make(self, town):
        group = Path("/sys/fs/cgroup/memory/passerelle-trouble")
        group.mkdir(exist_ok=True)
        self.group = group
        (group / "memory.limit_in_bytes").write_text(str(12 << 20))
        with contextlib.suppress(OSError):
            (group / "memory.swappiness").write_text("0")
        (group / "cgroup.procs").write_text(str(town.gateway.child.pid))
        # What it had before counts elsewhere: long questions make it ask for more.
        for _ in range(12):
            words = "Bonjour. " * 400_000
            question = {"messages": [{"role": "user", "content": words}]}
            threading.Thread(target=town.ask, args=("gpt-6-luna",), kwargs=question, daemon=True).start()

    def end(self, town):
        with contextlib.suppress(OSError):
            self.group.rmdir()


class PriceFileBroken(Trouble):
    name = "price-file-broken"
    alerts = ("PasserelleReloadRefused",)

    def make(self, town):
        self.path = town.folder / "openai.toml"
        self.text = self.path.read_text(encoding="utf-8")
        self.path.write_text(self.text.replace("input = ", "input = oops ", 1), encoding="utf-8")

    def end(self, town):
        self.path.write_text(self.text, encoding="utf-8")


TROUBLES = (
    DiskFull,
    VendorDown,
    VendorSlow,
    VendorKeyRevoked,
    DnsGone,
    ClockJumps,
    CertificateExpired,
    DatabaseLocked,
    MemoryLimit,
    PriceFileBroken,
)


def wait_for(condition, seconds=PATIENCE_SECONDS):
    """Whether it comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def unlike(lines):
    """One line of each kind, without times and numbers."""
    seen = {}
    for line in lines:
        text = re.sub(r"^\S+Z\s+", "", line).strip()
        seen.setdefault(re.sub(r"\d+|req_\w+", "", text)[:90], text)
    return list(seen.values())


def run(kind, binary):
    """Makes one trouble; what was seen, and what did not hold."""
    trouble, wrong = kind(), []
    with tempfile.TemporaryDirectory(prefix="passerelle-trouble-") as folder:
        town = TroubledTown(binary, Path(folder))
        try:
            trouble.prepare(town)
            town.begin()
            expect(wait_for(lambda: town.counts.get("200", 0) >= 20, 60), "no answers before the trouble")
            before, quiet = town.firing(), len(town.log_lines())
            town.counts.clear()
            trouble.make(town)
            fired = wait_for(lambda: set(trouble.alerts) <= town.firing())
            seen = {
                "trouble": trouble.name,
                "residents": dict(sorted(town.counts.items(), key=lambda item: -item[1])),
                "refusal": town.last_refusal,
                "probes": {path: town.get(path) for path in ("/livez", "/readyz", "/ledgerz")},
                "log": unlike(town.log_lines()[quiet:])[:4],
                "alerts": sorted(town.firing() - before) if fired else sorted(town.firing()),
                "exit": town.gateway.child.poll(),
            }
            if not fired:
                wrong.append(f"{trouble.name}: {set(trouble.alerts) - town.firing()} did not fire")
            if (seen["exit"] is None) != trouble.survives:
                wrong.append(f"{trouble.name}: the process ended with {seen['exit']}")
            trouble.end(town)
            if not trouble.survives:
                seen["restarted"] = restart(town)
            town.counts.clear()
            if not wait_for(lambda: town.counts.get("200", 0) >= 20, 60):
                wrong.append(f"{trouble.name}: not served again: {town.counts}")
            town.over.set()
            for thread in town.asking:
                thread.join(timeout=60)
            verified = subprocess.run(
                [binary, "ledger", "verify", "--config", town.config],
                env=town.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            seen["books"] = verified.stdout.strip().splitlines()[-1] if verified.stdout.strip() else verified.stderr
            if verified.returncode:
                wrong.append(f"{trouble.name}: the books do not hold: {verified.stdout}{verified.stderr}")
        except Failure as failure:
            seen = {"trouble": trouble.name}
            log = town.folder / "serve.stderr"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            wrong.append(f"{trouble.name}: {failure}\n{tail}")
        finally:
            town.end()
            if town.ledger_folder != town.folder:
                subprocess.run(["umount", "--lazy", town.ledger_folder], check=False)
    return seen, wrong


def restart(town):
    """What a service manager does."""
    town.gateway_prefix, town.gateway_environment = [], {}
    text = town.config.read_text(encoding="utf-8")
    for name in ("public", "mairie", "ops"):
        port = town.addresses[name].rsplit(":", 1)[1]
        text = text.replace(f'{name} = "127.0.0.1:0"', f'{name} = "127.0.0.1:{port}"')
    town.config.write_text(text, encoding="utf-8")
    town.serve()
    return "by hand, as the service manager would"


def show(seen, markdown):
    if markdown:
        print(f"\n## {seen['trouble']}\n")
    else:
        print(f"\n== {seen['trouble']}")
    bullet = "- " if markdown else "   "
    for what, value in seen.items():
        if what == "trouble":
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{name}: {count}" for name, count in value.items())
        if isinstance(value, list):
            value = "; ".join(value) if what == "alerts" else "".join(f"\n{bullet}    {line[:220]}" for line in value)
        print(f"{bullet}{what}: {value}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the program")
    parser.add_argument("--only", action="append", choices=[kind.name for kind in TROUBLES], help="this one (repeatable)")
    parser.add_argument("--markdown", action="store_true", help="print for a page")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("troubles.py: only root can mount and limit memory", file=sys.stderr)
        return 64
    wrong = []
    for kind in TROUBLES:
        if arguments.only and kind.name not in arguments.only:
            continue
        seen, mistakes = run(kind, str(Path(arguments.binary).resolve()))
        show(seen, arguments.markdown)
        wrong += mistakes
    for mistake in wrong:
        print(f"WRONG {mistake}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    # A test that is interrupted cleans up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
