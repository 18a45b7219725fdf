#!/usr/bin/env python3
"""Checks Prometheus' configuration, the rules and their tests, and that every alert leads to a section of the runbook.

    rules.py --binary target/debug/passerelle

promtool checks the files and runs the tests. Then: every alert has a case in which it fires and one in which it does
not, says what residents notice and what to do first, and links a section of the runbook that has all its parts; the
commands there are the program's, and the log lines that it looks for are ones that the program writes; the recorded
windows differ in nothing but their length. Exits with 1 when anything is not so.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from problems import Problems

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "config" / "prometheus"
RUNBOOK = ROOT / "deploy" / "doc" / "runbook.md"
# What a section of the runbook about an alert says, in this order.
PARTS = ("Means", "Residents", "See", "Now", "Later")
# What systemd and Rust's own handler write.
OF_THE_SYSTEM = {"exit", "oom", "panicked", "signal"}
# Troubles that are looked for by what they are, and not by the alert.
TROUBLES = (
    "Vendor down",
    "Vendor slow",
    "Vendor key revoked",
    "Disk full",
    "DNS gone",
    "Clock jumps",
    "Certificate expired",
    "Database locked",
    "Memory limit",
    "Price file broken",
)


def promtool(*arguments):
    """The exit code and everything that promtool says."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def run_promtool(problems):
    """Every file through promtool; the number of rules that it has found."""
    rules = sorted((CONFIG / "rules").glob("*.yml"))
    code, said = promtool("check", "config", CONFIG / "prometheus.yml")
    problems.expect(code == 0, f"promtool check config:\n{said}")
    code, said = promtool("check", "rules", *rules)
    problems.expect(code == 0, f"promtool check rules:\n{said}")
    found = sum(int(number) for number in re.findall(r"SUCCESS: (\d+) rules found", said))
    tests = sorted((CONFIG / "tests").glob("*.yml"))
    with ThreadPoolExecutor(2) as pool:
        ran = pool.map(lambda file: promtool("test", "rules", file), tests)
        for file, (code, said) in zip(tests, ran, strict=True):
            problems.expect(code == 0, f"promtool test rules {file.name}:\n{said}")
            print(f"{file.name}: {'ok' if code == 0 else 'FAILED'}", flush=True)
    return found


def read(*folders):
    return "\n".join(
        file.read_text(encoding="utf-8") for folder in folders for file in sorted((CONFIG / folder).glob("*.yml"))
    )


def alerts_of(text):
    """Alerts by name, each the text of its rule."""
    parts = re.split(r"(?m)^      - (?=alert: |record: )", text)
    return {part.split("\n", 1)[0].removeprefix("alert: "): part for part in parts if part.startswith("alert: ")}


def check_alerts(alerts, sections, problems):
    for name, rule in alerts.items():
        severity = re.search(r"severity: (\w+)", rule)
        severity = severity[1] if severity else "none"
        problems.expect(severity in ("page", "ticket"), f"{name}: severity is neither page nor ticket")
        for annotation in ("summary", "description"):
            problems.expect(re.search(rf"^          {annotation}: ", rule, re.MULTILINE), f"{name}: no {annotation}")
        link = re.search(r'runbook_url: "\{\{ \$externalLabels\.runbook \}\}#(\S+)"', rule)
        problems.expect(link and link[1] == name.lower(), f"{name}: runbook_url is not #{name.lower()}")
        section = sections.get(name)
        if section is None:
            problems.add(f"{name}: the runbook has no section of that name")
            continue
        parts = re.findall(r"(?m)^\*\*(\w+)\.\*\* \S", section)
        problems.expect(tuple(parts) == PARTS, f"{name}: its section of the runbook has {parts}, not {list(PARTS)}")
        problems.expect(f"({severity})" in section, f"{name}: the runbook says another severity")


def check_runbook(alerts, sections, problems):
    anchors = {anchor(title) for title in sections}
    for title in sections:
        about_an_alert = title.startswith("Passerelle")
        problems.expect(not about_an_alert or title in alerts, f"the runbook tells of {title}, no alert")
    for trouble in TROUBLES:
        linked = re.findall(r"\(#(\w+)\)", sections.get(trouble, ""))
        problems.expect(any(link.startswith("passerelle") for link in linked), f"runbook: {trouble} links no alert")
    for title, text in sections.items():
        for link in re.findall(r"\(#([\w-]+)\)", text):
            problems.expect(link in anchors, f"the runbook's {title} links #{link}, which is not there")


def commands_of(text):
    """The program's commands in the runbook, each as its words."""
    shown = re.findall(r"`(p [^`]+)`", text) + re.findall(r"(?m)^(p [^#\n]+)", text)
    return [shlex.split(command.replace("…", "X"))[1:] for command in shown]


def check_commands(text, binary, problems):
    """Each command and each of its options is one that the program has."""
    helps = {}

    def help_of(*words):
        if words not in helps:
            line = [binary, *words, "--help"]
            done = subprocess.run(
                line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
            )
            helps[words] = done.stdout if done.returncode == 0 else None
        return helps[words]

    for command in commands_of(text):
        path = ()
        for word in command:
            # The words that say which command it is come first, or after the options of the one before.
            if re.fullmatch(r"[a-z]+", word) and re.search(rf"(?m)^  {word}\b", help_of(*path) or ""):
                path = (*path, word)
        said = f"the runbook's command p {' '.join(command)}"
        options = [word.split("=", 1)[0] for word in command if word.startswith("--")]
        known = "".join(help_of(*path[:count]) or "" for count in range(1, len(path) + 1))
        problems.expect(path and path[0] == command[0], f"{said}: there is no command {command[0]}")
        for option in options if path else []:
            problems.expect(re.search(rf"(?m)^\s+{option}\b", known), f"{said}: it has no {option}")


def check_log_lines(text, problems):
    """What the runbook and the alerts look for in the log is something that the program writes."""
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src").rglob("*.rs")))
    searches = re.findall(r"journalctl -u passerelle -g '([^']+)'", text)
    problems.expect(searches, "no search of the log was found")
    for words in {words for search in searches for words in search.split("|")} - OF_THE_SYSTEM:
        problems.expect(words in sources, f"“{words}” is looked for in the log, and the program never writes it")


def anchor(title):
    """The anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def cases_of(text):
    """Alerts that fire, and alerts that do not, in the tests of rules."""
    firing, silent = set(), set()
    for case in re.split(r"(?m)^  - name: ", text)[1:]:
        for labels in re.findall(r"- labels: '\{(.*)\}'\n\s+value: [1-9]", case):
            firing |= set(re.findall(r'alertname="(\w+)"', labels))
        expectations = re.findall(r"- alertname: (\w+)\n\s+eval_time: \w+\n(\s+exp_alerts:)?", case)
        for name, alerts in expectations:
            (firing if alerts else silent).add(name)
    return firing, silent


def check_cases(alerts, problems):
    text = read("tests")
    firing, silent = cases_of(text)
    for name in alerts:
        problems.expect(name in firing, f"{name}: no test in which it fires")
        problems.expect(name in silent, f"{name}: no test in which it does not fire")
    for name in sorted((firing | silent) - set(alerts)):
        problems.add(f"the tests tell of {name}, which is no alert")
    healthy = (CONFIG / "tests" / "healthy.yml").read_text(encoding="utf-8")
    for name in alerts:
        problems.expect(f"alertname: {name}\n" in healthy, f"{name}: not among the silent of an ordinary day")


def check_windows(problems):
    """The records of one kind are one expression with another window; only the shortest is made of rates themselves."""
    kinds = {}
    for part in re.split(r"(?m)^      - record: ", read("rules"))[1:]:
        name, expression = part.split("\n", 1)
        found = re.fullmatch(r"(passerelle:\w+:(?:ratio_rate|increase))(\w+)", name)
        if found and found[2] != "5m":
            kind, window = found.groups()
            expression = re.split(r"(?m)^ {0,4}\S|^  - |^      #", expression)[0].strip()
            problems.expect(window in expression, f"{name} does not read a window of {window}")
            kinds.setdefault(kind, {})[window] = re.sub(rf"(?<=[\[e]){window}\b", "WINDOW", expression)
    problems.expect(kinds, "no recorded windows were found")
    for kind, expressions in kinds.items():
        differ = len(set(expressions.values())) > 1
        problems.expect(not differ, f"{kind}…: its windows differ in more than their length")


def sections_of(text):
    """Sections of the runbook by heading."""
    parts = re.split(r"(?m)^#{2,3} ", text)[1:]
    return {part.split("\n", 1)[0].strip(): part for part in parts}


def main():
    parser = argparse.ArgumentParser(
        description="Checks Prometheus' configuration, rules and tests, and the runbook that the alerts link.",
        epilog="example: rules.py --binary target/debug/passerelle",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the passerelle program that the runbook calls")
    arguments = parser.parse_args()
    if not arguments.binary.is_file():
        parser.error(f"no such program: {arguments.binary} (cargo build makes it)")
    if not shutil.which("promtool"):
        sys.exit("there is no program promtool (Debian: apt-get install --no-install-recommends prometheus)")
    problems = Problems()
    found = run_promtool(problems)
    rules = read("rules")
    alerts = alerts_of(rules)
    records = len(re.findall(r"(?m)^      - record: ", rules))
    # What is read here without a parser of YAML is all that promtool reads with one.
    problems.expect(len(alerts) + records == found, f"{len(alerts)} alerts and {records} records are not {found} rules")
    runbook = RUNBOOK.read_text(encoding="utf-8")
    sections = sections_of(runbook)
    check_alerts(alerts, sections, problems)
    check_runbook(alerts, sections, problems)
    check_cases(alerts, problems)
    check_windows(problems)
    check_commands(runbook, arguments.binary.resolve(), problems)
    check_log_lines(runbook + rules, problems)
    print(f"{len(alerts)} alerts, {records} recorded rules, {len(sections)} sections of the runbook")
    return 1 if problems.count else 0


if __name__ == "__main__":
    sys.exit(main())
