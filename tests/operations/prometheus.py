"""A real Prometheus on a loopback port, with the project's own configuration and rules, and the questions it is asked.

Knows no gateway and no dashboard.
"""

import json
import math
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "config" / "prometheus"
START_SECONDS = 30


class Failure(Exception):
    """Prometheus does not do what it must."""


def replaced(text, pattern, by):
    """`text` with what the project's file says put in another way; it must say it."""
    changed, count = re.subn(pattern, by, text)
    if not count:
        raise Failure(f"the configuration says nothing like {pattern}")
    return changed


def free_port():
    """A port that nobody has at the moment: Prometheus cannot be asked which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Scrapes one gateway every second and evaluates the project's rules as often."""

    def __init__(self, target, folder):
        self.folder = folder / "prometheus"
        rules = self.folder / "rules"
        rules.mkdir(parents=True)
        for file in (CONFIG / "rules").glob("*.yml"):
            # What is slow in a town would not be evaluated once during a test.
            text = re.sub(r"(?m)^    interval: \w+$", "    interval: 1s", file.read_text(encoding="utf-8"))
            (rules / file.name).write_text(text, encoding="utf-8")
        config = (CONFIG / "prometheus.yml").read_text(encoding="utf-8")
        config = replaced(config, r'"127\.0\.0\.1:9090"', json.dumps(target))
        config = replaced(config, r"(scrape|evaluation)_interval: \w+", r"\1_interval: 1s")
        (self.folder / "prometheus.yml").write_text(config, encoding="utf-8")
        self.address = f"http://127.0.0.1:{free_port()}"
        self.log = (self.folder / "log").open("wb")
        self.child = None

    def start(self):
        program = shutil.which("prometheus")
        if not program:
            raise Failure("there is no program prometheus (Debian: apt-get install --no-install-recommends prometheus)")
        self.child = subprocess.Popen(
            [
                program,
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address={self.address.removeprefix('http://')}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"Prometheus does not start:\n{(self.folder / 'log').read_text(errors='replace')}")
            time.sleep(0.1)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.address}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of an answer of its API."""
        body = urllib.parse.urlencode(parameters, doseq=True)
        url = f"{self.address}/api/v1/{path}"
        # Long questions do not fit an address; what takes none is asked by GET.
        request = urllib.request.Request(url, body.encode()) if path == "query" else f"{url}?{body}"
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Failure(json.load(error).get("error", str(error))) from None

    def query(self, expression):
        """The series that an expression has now, as (labels, value); without those that are not a number."""
        data = self.ask("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        series = [(one["metric"], float(one["value"][1])) for one in data["result"]]
        return [(labels, value) for labels, value in series if not math.isnan(value)]

    def rules(self):
        """Every rule, as Prometheus read it."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def stop(self):
        if self.child:
            self.child.terminate()
            try:
                self.child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()
