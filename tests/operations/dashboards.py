#!/usr/bin/env python3
"""Asks a real Prometheus every question of every dashboard, about a gateway under traffic.

    dashboards.py --binary target/debug/passerelle

Simulated vendors, residents and a gateway run on loopback; Prometheus scrapes them with the project's own configuration
and evaluates its rules. Every panel must show something. Every metric that is asked for must be declared, and every
declared metric be asked for somewhere. Prints a table of all values; exits with 1 when anything is not so.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import promql
from observed import Failure as TownFailure
from observed import ObservedTown
from problems import Problems
from prometheus import Failure, Prometheus

ROOT = Path(__file__).resolve().parent.parent.parent
DASHBOARDS = ROOT / "config" / "grafana" / "dashboards"
RUNBOOK = ROOT / "deploy" / "doc" / "runbook.md"
# How long every panel may take to have something to show.
PATIENCE_SECONDS = 60
# What Grafana fills in, for scrapes a second apart.
VARIABLES = {"$__rate_interval": "15s", "$__interval": "1s", "$__range": "5m"}
# Panels that have nothing to show in a healthy gateway, by dashboard, title and letter of the query.
EMPTY = {
    ("passerelle-gateway", "Certificates end in", "A"): "no listener of the test has a certificate",
    ("passerelle-gateway", "TLS handshakes", "A"): "no listener of the test has a certificate",
    ("passerelle-money", "Answers and models without a price", "A"): "all that simulated vendors answer has a price",
}
# Declared metrics that no panel and no rule asks for.
UNSEEN = {}
# What Prometheus itself has.
OF_PROMETHEUS = {"up", "ALERTS"}


def declared_metrics(file):
    """The names in names.rs that are not those of labels."""
    text = file.read_text(encoding="utf-8")
    labels = set(re.findall(r'pub const \w+: &str = "(\w+)"', text))
    return set(re.findall(r'"((?:passerelle|gen_ai|process)_[a-z0-9_]+)"', text)) - labels


def panels_of(dashboard):
    """Every panel, those of collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def check_shape(dashboards, problems):
    """What Grafana would take without a word, and a person would miss."""
    uids = [dashboard["uid"] for dashboard in dashboards]
    problems.expect(len(set(uids)) == len(uids), f"two dashboards have one uid: {uids}")
    for dashboard in dashboards:
        name = dashboard["uid"]
        problems.expect(re.fullmatch(r"passerelle-\w+", name), f"{name}: the uid is not passerelle-…")
        problems.expect(dashboard["tags"] == ["passerelle"], f"{name}: the links find dashboards by the tag passerelle")
        links = [link for link in dashboard["links"] if link["tags"] == ["passerelle"]]
        problems.expect(links, f"{name}: no links to the others")
        variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
        source = variables.get("datasource", {})
        problems.expect(source.get("type") == "datasource", f"{name}: no variable for the datasource")
        taken = set()
        ids = set()
        for panel in panels_of(dashboard):
            title = f"{name}: {panel['title']}"
            problems.expect(panel["id"] not in ids, f"{title}: two panels have the id {panel['id']}")
            ids.add(panel["id"])
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            problems.expect(not cells & taken and place["x"] + place["w"] <= 24, f"{title}: over another panel")
            taken |= cells
            if panel["type"] != "row":
                check_panel(title, panel, problems)


def check_panel(title, panel, problems):
    description = panel.get("description", "")
    problems.expect(len(description) >= 40 and description.endswith("."), f"{title}: no description of what to do")
    if panel["type"] != "heatmap":
        problems.expect(panel["fieldConfig"]["defaults"].get("unit"), f"{title}: no unit")
    problems.expect(panel["targets"], f"{title}: no query")
    for target in panel["targets"]:
        for place in (panel, target):
            source = place["datasource"]
            problems.expect(source == {"type": "prometheus", "uid": "${datasource}"}, f"{title}: another datasource")
        amount = re.search(r"euro_nanos", target["expr"])
        share = re.search(r"/.*euro_nanos", target["expr"].replace(" ", "")) or "ratio" in target["expr"]
        problems.expect(not amount or share or "1e9" in target["expr"], f"{title}: nano-euros are shown as euros")


def queries_of(dashboard):
    """(panel, letter, expression) of every query, in Grafana's words."""
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            yield panel["title"], target["refId"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", "", annotation["expr"]


def expanded(expression, dashboard):
    """The expression with its variables filled in, as with `All` chosen."""
    filled = dict(VARIABLES)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            filled[f"${variable['name']}"] = variable["allValue"]
    for name in sorted(filled, key=len, reverse=True):
        expression = expression.replace(name, filled[name])
    if "$" in expression:
        raise Failure(f"unknown variable in {expression}")
    return expression


def ask_all(prometheus, dashboards, problems):
    """Asks until everything has been answered with something; the last answers, by dashboard, panel and letter."""
    waiting = {
        (dashboard["uid"], panel, letter): expanded(expression, dashboard)
        for dashboard in dashboards
        for panel, letter, expression in queries_of(dashboard)
        if not panel.startswith("annotation ")
    }
    answers = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for key, expression in list(waiting.items()):
            try:
                answers[key] = prometheus.query(expression)
            except Failure as error:
                problems.add(f"{' / '.join(key)}: {error}")
                answers[key] = []
                del waiting[key]
                continue
            if answers[key]:
                del waiting[key]
        if set(waiting) <= set(EMPTY) or time.monotonic() > deadline:
            break
        time.sleep(1)
    for key, expression in waiting.items():
        problems.expect(key in EMPTY, f"{' / '.join(key)}: nothing after {PATIENCE_SECONDS} s: {expression}")
    for key, reason in EMPTY.items():
        nothing = key in waiting or not any(value for _, value in answers[key])
        problems.expect(nothing, f"{' / '.join(key)} has something to show, although {reason}")
    return answers


def check_variables(prometheus, dashboards, problems):
    """Variables that list label values must find some."""
    for dashboard in dashboards:
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
                name = f"{dashboard['uid']}: variable {variable['name']}"
                if not found:
                    problems.add(f"{name} is not label_values(metric, label)")
                    continue
                metric, label = found.groups()
                values = prometheus.ask(f"label/{label}/values", **{"match[]": metric})
                problems.expect(values, f"{name} has no value")


def check_runbook(prometheus, problems):
    """What the runbook tells to ask can be asked; most of it has no answer while nothing is wrong. The expressions."""
    text = re.sub(r"(?ms)^```.*?^```$", "", RUNBOOK.read_text(encoding="utf-8"))
    shown = [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", text)]
    # Code that names a metric and is more than a command.
    asked = [code for code in shown if re.search(r"\b(passerelle|gen_ai|process)_\w+|passerelle:|^up\{", code)]
    problems.expect(asked, "the runbook asks nothing")
    for expression in asked:
        try:
            prometheus.query(expression)
        except Failure as error:
            problems.add(f"runbook: {expression}: {error}")
    return asked


def check_names(rules, dashboards, runbook, declared, problems):
    """No question about what is not there, and nothing there that nobody asks for."""
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    known = declared | recorded | OF_PROMETHEUS
    asked = {}
    for expression in runbook:
        for name in {promql.base(name, declared) for name in promql.metrics(expression)}:
            problems.expect(name in known, f"the runbook asks for {name}, which names.rs does not declare")
    for dashboard in dashboards:
        for panel, _, expression in queries_of(dashboard):
            for name in promql.metrics(expanded(expression, dashboard)):
                asked.setdefault(promql.base(name, declared), f"{dashboard['uid']}: {panel}")
    for rule in rules:
        for name in promql.metrics(rule["query"]):
            asked.setdefault(promql.base(name, declared), f"rule {rule['name']}")
    for name, where in sorted(asked.items()):
        problems.expect(name in known, f"{where} asks for {name}, which names.rs does not declare")
    for name in sorted(declared - set(asked)):
        problems.expect(name in UNSEEN, f"nothing asks for {name}: put it on a dashboard, or into UNSEEN with a reason")
    for name, reason in UNSEEN.items():
        problems.expect(name in declared and name not in asked, f"{name} is in UNSEEN without need: {reason}")
    for name in sorted(recorded - set(asked)):
        problems.add(f"nothing asks for the recorded {name}")


def show(answers):
    """One line a query: where, how many series, the first value."""
    rows = []
    for (uid, panel, letter), series in answers.items():
        value = f"{series[0][1]:.6g}" if series else f"none: {EMPTY.get((uid, panel, letter), 'MISSING')}"
        rows.append((uid.removeprefix("passerelle-"), f"{panel} {letter}", str(len(series)), value))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())


def check(arguments, folder, problems):
    files = sorted(DASHBOARDS.glob("*.json"))
    dashboards = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    problems.expect(len(dashboards) == 4, f"four dashboards are expected, there are {len(dashboards)}")
    check_shape(dashboards, problems)
    town = ObservedTown(str(arguments.binary.resolve()), folder)
    prometheus = None
    try:
        town.start()
        prometheus = Prometheus(town.addresses["ops"].removeprefix("http://"), folder)
        prometheus.start()
        town.live()
        answers = ask_all(prometheus, dashboards, problems)
        rules = prometheus.rules()
        for rule in rules:
            health, error = rule["health"], rule.get("lastError", "")
            problems.expect(health == "ok", f"rule {rule['name']}: {health} {error}")
        check_variables(prometheus, dashboards, problems)
        runbook = check_runbook(prometheus, problems)
        check_names(rules, dashboards, runbook, declared_metrics(arguments.names), problems)
        show(answers)
        firing = sorted({labels["alertname"] for labels, _ in prometheus.query('ALERTS{alertstate="firing"}')})
        print(f"\n{len(answers)} queries of {len(dashboards)} dashboards, {len(runbook)} of the runbook")
        print(f"{len(rules)} rules evaluated")
        print(f"alerts that fire in this town: {', '.join(firing) or 'none'}")
    finally:
        town.stop()
        if prometheus:
            prometheus.stop()


def main():
    parser = argparse.ArgumentParser(
        description="Asks a real Prometheus every question of every dashboard, about a gateway under traffic.",
        epilog="example: dashboards.py --binary target/debug/passerelle",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the passerelle program to observe")
    parser.add_argument(
        "--names",
        type=Path,
        default=ROOT / "src" / "telemetry" / "names.rs",
        help="the file that declares the metrics (default: %(default)s)",
    )
    parser.add_argument("--keep", type=Path, help="folder in which everything stays, for looking at it")
    arguments = parser.parse_args()
    if not arguments.binary.is_file():
        parser.error(f"no such program: {arguments.binary} (cargo build makes it)")
    problems = Problems()
    try:
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            check(arguments, arguments.keep, problems)
        else:
            with tempfile.TemporaryDirectory(prefix="passerelle-dashboards-") as folder:
                check(arguments, Path(folder), problems)
    except (Failure, TownFailure) as error:
        problems.add(str(error))
    return 1 if problems.count else 0


if __name__ == "__main__":
    sys.exit(main())
