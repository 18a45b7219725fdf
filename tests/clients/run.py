#!/usr/bin/env python3
"""Talks to a running Passerelle with real clients: every client, every feature, every vendor.

A resident's program must work by changing only the base URL and the key, whichever vendor answers.
The vendors are Passerelle's own simulators on this machine: nothing leaves it and nothing is paid.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import exports
from town import Failure, Town, without_settings

HERE = Path(__file__).resolve().parent
SAMPLES = json.loads((HERE / "samples.json").read_text(encoding="utf-8"))
CLIENT_SECONDS = 150
# Clients at once: most of their time goes into starting.
AT_ONCE = max(2, min(4, os.cpu_count() or 2))

BOTH = ("openai", "mistral_ai")
# File, vendors that it asks. The slow ones first.
CLIENTS = {
    "ai openai-compatible": ("ai_openai_compatible.cjs", BOTH),
    "ai mistral": ("ai_mistral.cjs", BOTH),
    "langchain-openai": ("langchain_openai_python.py", BOTH),
    "langchain-mistralai": ("langchain_mistralai_python.py", BOTH),
    "pydantic-ai": ("pydantic_ai_python.py", BOTH),
    "llm": ("llm_python.py", BOTH),
    "openai-python": ("openai_python.py", (*BOTH, "auto")),
    "mistralai": ("mistralai_python.py", BOTH),
    "openai-node": ("openai_node.cjs", BOTH),
}
SILENCE = {
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OTEL_SDK_DISABLED": "true",
    "DO_NOT_TRACK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "utf-8",
}


class Results:
    """What the clients told, counted, and as a table."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.cells = {}

    def add(self, client, vendor, feature, check, state, reason):
        cell = self.cells.setdefault((client, vendor, feature), [])
        cell.append(state)
        title = " / ".join(part for part in (client, vendor, feature, check) if part)
        if state == "ok":
            self.passed += 1
        elif state == "failed":
            self.failed += 1
            # A client's message may be as long as the answer that it did not like.
            print(f"FAILED {title}: {' '.join(reason.split())[:400]}", flush=True)
        elif state != "n.a." or not reason:
            raise Failure(f"{title}: unknown state {state!r} or n.a. without a reason")

    def run(self, title, call):
        """A check of the town itself."""
        try:
            call()
        except Exception as error:
            self.failed += 1
            print(f"FAILED {title}: {type(error).__name__}: {error}", flush=True)
            return False
        self.passed += 1
        return True

    def cell(self, client, vendor, feature):
        states = self.cells.get((client, vendor, feature), [])
        failed = states.count("failed")
        if failed:
            return f"FAILED {failed}/{len(states)}"
        return states[0] if states else "FAILED"

    def table(self, clients):
        """One line a client and vendor, one column a feature."""
        features = SAMPLES["features"]
        rows = [["client", "vendor", *features]]
        for client in sorted(clients):
            for vendor in CLIENTS[client][1]:
                rows.append([client, vendor, *(self.cell(client, vendor, feature) for feature in features)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)


def command_of(file, folder):
    """How a client's file is started, and with what beside the environment."""
    environment = {**without_settings(os.environ), **SILENCE}
    # No client writes into, or reads from, the user's own settings.
    environment["HOME"] = str(folder)
    if file.endswith(".cjs"):
        return ["node", str(HERE / file)], environment
    return [sys.executable, str(HERE / file)], environment


def run_client(town, client, keys, arguments):
    """Starts one client's file and returns what it told, as (vendor, feature, check, state, reason)."""
    file, vendors = CLIENTS[client]
    folder = town.folder / file
    folder.mkdir()
    command, environment = command_of(file, folder)
    environment["NODE_PATH"] = str(arguments.node_modules)
    environment["PASSERELLE_TOWN"] = json.dumps(
        {
            "public": town.public,
            "counted": town.counter.address,
            "vendors": vendors,
            "key": keys["resident"].pop(),
            "revoked": keys["resident"].pop(),
            "spent": {vendor: keys["spent"].pop() for vendor in vendors},
            "revoke": [town.binary, "keys", "revoke", "--config", str(town.config)],
            "folder": str(folder),
        }
    )
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=CLIENT_SECONDS,
            check=False,
        )
        output, errors = done.stdout, done.stderr
        trouble = f"exit code {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as late:
        output, errors = ((part or b"").decode("utf-8", "replace") for part in (late.stdout, late.stderr))
        trouble = f"not done after {CLIENT_SECONDS} s"
    told = list(read_lines(output))
    silent = [(vendor, feature) for vendor in vendors for feature in SAMPLES["features"]]
    silent = [cell for cell in silent if cell not in {line[:2] for line in told}]
    told += [(*cell, "", "failed", f"the client told nothing; {trouble or 'exit code 0'}") for cell in silent]
    if trouble and not silent:
        told.append((vendors[0], "errors", "client ends well", "failed", trouble))
    return told, errors


def read_lines(output):
    for line in output.splitlines():
        # A client may print of its own accord.
        if line.startswith("{"):
            told = json.loads(line)
            yield told["vendor"], told["feature"], told["check"], told["state"], told["reason"]


def run_clients(town, results, arguments):
    names = arguments.clients
    vendors = sum(len(CLIENTS[name][1]) for name in names)
    keys = {"resident": town.issue("resident", 2 * len(names)), "spent": town.issue("spent", vendors)}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def job(name):
            started = time.monotonic()
            told, errors = run_client(town, name, keys, arguments)
            return name, told, errors, time.monotonic() - started

        for name, told, errors, seconds in pool.map(job, names):
            failed = sum(line[3] == "failed" for line in told)
            for vendor, feature, check, state, reason in told:
                results.add(name, vendor, feature, check, state, reason)
            print(f"{name}: {len(told)} results in {seconds:.1f} s, {failed} failed", flush=True)
            if failed and arguments.verbose:
                print(f"-- stderr of {name}:\n{errors}", file=sys.stderr, flush=True)


def parse_arguments():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("PASSERELLE_CACHE") or Path(cache) / "passerelle")
    parser = argparse.ArgumentParser(
        description="Tests a passerelle binary with real clients, against simulated vendors.",
        epilog="example: run.py --binary target/debug/passerelle --only openai-node",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the passerelle program to test")
    parser.add_argument(
        "--node-modules",
        type=Path,
        default=cache / "node" / "node_modules",
        help="folder of the Node clients (default: %(default)s)",
    )
    parser.add_argument(
        "--only", dest="clients", action="append", choices=CLIENTS, help="only this client; may be repeated"
    )
    parser.add_argument("--verbose", action="store_true", help="what clients with failures wrote to stderr")
    arguments = parser.parse_args()
    arguments.clients = arguments.clients or list(CLIENTS)
    if not arguments.binary.is_file():
        parser.error(f"no such program: {arguments.binary} (cargo build makes it)")
    if not arguments.node_modules.is_dir():
        parser.error(f"no such folder: {arguments.node_modules} (tests/run makes it)")
    return arguments


def main():
    arguments = parse_arguments()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
        town = Town(str(arguments.binary.resolve()), Path(folder))
        try:
            if results.run("simulators and gateway start", town.start):
                results.run("clients run", lambda: run_clients(town, results, arguments))
                results.run("gateway ends on SIGTERM", town.stop_gateway)
                results.run("DuckDB reads the exports", lambda: exports.check(town))
                results.run("repricing finds what was booked", lambda: exports.check_repricing(town))
        finally:
            town.stop()
        if results.failed and arguments.verbose:
            for process in town.processes:
                print(f"-- end of the stderr of {process.name}:", file=sys.stderr)
                print("\n".join(process.stderr_tail()), file=sys.stderr, flush=True)
    print(f"\n{results.table(arguments.clients)}\n")
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
