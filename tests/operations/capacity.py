#!/usr/bin/env python3
"""The arithmetic of deploy/doc/capacity.md, from the newest result of the load bench.

    capacity.py            prints the tables
    capacity.py --write    puts them into the page, between its marks
    capacity.py --check    exits with 1 when the page says something else

What is measured comes from benches/results; what is assumed is at the top of this file, and said in the page.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "deploy" / "doc" / "capacity.md"
BEGIN, END = "<!-- capacity.py: begin -->", "<!-- capacity.py: end -->"

RESIDENTS = (1_000, 12_000, 100_000, 2_000_000)

# Assumed of a town on its busiest day.
SHARE_ACTIVE = 0.20  # of the residents who have a key
QUESTIONS_EACH = 8
SHARE_OF_BUSIEST_HOUR = 0.15
PEAK_OVER_MEAN = 3  # the busiest seconds of that hour against its mean
DAYS_A_YEAR = 250  # as busy as that one

# Assumed of an answer.
TOKENS = 350
SECONDS = 15  # from the question to its last token

# A core is planned to be half busy: the rest is for the operating system, the copy to the disk, the unexpected.
BUSY = 0.5

# Measured by `cargo bench --bench ledger`: what a question leaves in the ledger.
LEDGER_GIGABYTES_PER_MILLION = 0.8
# Above it nothing was measured: `cargo bench --bench scale` ends at ten million entries.
ENTRIES_MEASURED = 10_000_000
# server.max_requests and upstream.max_concurrency of config/default.toml.
STREAMS_WITHOUT_SETTINGS = 2_000


def measured():
    """The figures of the newest run, at their upper ends, in microseconds and megabytes."""
    newest = sorted((ROOT / "benches" / "results").glob("load-*.json"))[-1]
    rows = {row["name"]: row["figure"] for row in json.loads(newest.read_text())["rows"]}

    def figures(name):
        return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", rows[name])]

    upper = {
        "request": figures("CPU per request, 64 connections")[-1],
        "stream": figures("CPU per stream, paced, translated")[-1],
        "streams": figures("10000 open streams: memory, largest")[-1],
        "rest": figures("memory after 1000066 requests; half-way, end, rest")[-1],
    }
    return newest.name, upper


def tables():
    name, cost = measured()
    tokens_measured = 50
    per_answer = cost["stream"] * TOKENS / tokens_measured
    per_stream = (cost["streams"] - cost["rest"]) / 10_000
    lines = [
        f"From `benches/results/{name}`, each at the upper end of its runs:",
        "",
        "| measured | figure |",
        "|---|---|",
        f"| CPU of a request and its answer at once | {cost['request']:.0f} µs |",
        f"| CPU of a stream of {tokens_measured} tokens, paced, translated | {cost['stream']:.0f} µs |",
        f"| CPU of an answer of {TOKENS} tokens: {cost['stream']:.0f} × {TOKENS} ÷ {tokens_measured} "
        f"| {per_answer / 1000:.1f} ms |",
        f"| memory of an open stream: ({cost['streams']:.0f} − {cost['rest']:.0f}) MB ÷ 10,000 "
        f"| {per_stream * 1000:.0f} KB |",
        f"| memory without any, after a million requests | {cost['rest']:.0f} MB |",
        "",
        "| residents with a key | " + " | ".join(f"{count:,}" for count in RESIDENTS) + " |",
        "|---" * (len(RESIDENTS) + 1) + "|",
    ]
    columns = [plan(count, per_answer, per_stream, cost["rest"]) for count in RESIDENTS]
    for row in range(len(columns[0])):
        cells = [columns[0][row][0]] + [column[row][1] for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plan(residents, per_answer, per_stream, rest):
    """The figures of one size of town, by what they are."""
    a_day = residents * SHARE_ACTIVE * QUESTIONS_EACH
    a_second = a_day * SHARE_OF_BUSIEST_HOUR / 3600 * PEAK_OVER_MEAN
    streams = a_second * SECONDS
    cores = a_second * per_answer / 1e6
    memory = rest + streams * per_stream
    a_year = a_day * DAYS_A_YEAR
    disk = a_year / 1e6 * LEDGER_GIGABYTES_PER_MILLION
    machine_cores = max(2, math.ceil(cores / BUSY))
    machine_memory = max(1, math.ceil(memory * 2 / 1024))
    remarks = []
    if streams > STREAMS_WITHOUT_SETTINGS:
        remarks.append("raise the limits below")
    if a_year > ENTRIES_MEASURED:
        remarks.append("a year is beyond what was measured")
    return [
        ("questions on the busiest day", f"{a_day:,.0f}"),
        ("a second, in its busiest seconds", f"{a_second:,.1f}"),
        ("answers open at once", f"{math.ceil(streams):,}"),
        ("cores kept busy", f"{cores:,.3f}" if cores < 0.1 else f"{cores:,.1f}"),
        ("memory of the process", f"{memory:,.0f} MB"),
        ("descriptors, two an answer", f"{2 * math.ceil(streams):,}"),
        ("ledger after a year", f"{disk:,.1f} GB"),
        ("**machine**", f"**{machine_cores} cores, {machine_memory} GB**"),
        ("remarks", "; ".join(remarks) or "defaults do"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the page differs")
    arguments = parser.parse_args()
    text = tables()
    if not (arguments.write or arguments.check):
        print(text)
        return 0
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    wanted = f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
    if arguments.write:
        PAGE.write_text(wanted)
    elif wanted != page:
        print("deploy/doc/capacity.md is not what the measurements give: run tests/operations/capacity.py --write")
        return 1
    else:
        print("deploy/doc/capacity.md: its figures follow from the measurements")
    return 0


if __name__ == "__main__":
    sys.exit(main())
