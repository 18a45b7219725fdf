#!/usr/bin/env python3
"""Makes the document of a played demo and looks at it as its readers will.

    run.py --binary target/debug/passerelle --node-modules NODE_MODULES [--keep FOLDER]

The demo plays; its comparison is made from the ledger and again from the published evidence alone, and both must say the
same to the last digit. The page goes through a browser (page.cjs: accessibility, width, print), the workbook through
LibreOffice (workbook.py: every formula). Exits with 1 at the first thing that is not as it should be.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
# What is different from one reading of the ledger to the next: the moment, and the digest that covers it.
MOMENT = {"made_at"}
DIGEST = "evidence_digest"


def run(*command: object, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    line = [str(part) for part in command]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def timeless(comparison: dict) -> dict:
    """A comparison without the moment at which its evidence was read."""
    shown = {key: value for key, value in comparison.items() if key not in MOMENT}
    shown["proof"] = {key: value for key, value in comparison["proof"].items() if key != DIGEST}
    return shown


def check(binary: pathlib.Path, node_modules: pathlib.Path, folder: pathlib.Path) -> None:
    """Plays the demo into `folder` and checks everything that comes of it."""
    run(binary, "demo", "--once", "--folder", folder)
    config = next(folder.glob("*.toml"))

    def from_ledger(form: str, *more: object) -> pathlib.Path:
        file = folder / f"ledger-{'-'.join(map(str, more[1::2])) or 'fr'}.{form}"
        run(binary, "report", "--config", config, "--format", form, "--output", file, *more)
        return file

    evidence = from_ledger("evidence")
    alone = folder / "alone.json"
    run(binary, "report", "--from-evidence", evidence, "--format", "json", "--output", alone)
    whole = json.loads(from_ledger("json").read_text())["comparison"]
    again = json.loads(alone.read_text())["comparison"]
    if timeless(whole) != timeless(again):
        sys.exit("the comparison from the evidence alone is not the one from the ledger")
    if again["probes"]["refused"] is not None or not again["probes"]["claims"]:
        sys.exit(f"the demo's probes give no comparison: {again['probes']['refused']}")
    print(f"from evidence alone: identical ({len(json.dumps(again))} bytes, {evidence.stat().st_size} of evidence)")
    for lang in ("fr", "en"):
        page = from_ledger("html", "--lang", lang)
        print(run("node", HERE / "page.cjs", page, folder, NODE_PATH=str(node_modules)).strip())
        workbook = from_ledger("xlsx", "--lang", lang)
        print(run(sys.executable, HERE / "workbook.py", workbook).strip())


def main() -> None:
    """Reads the arguments and checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--node-modules", type=pathlib.Path, required=True)
    parser.add_argument("--keep", type=pathlib.Path, help="folder in which everything stays, for looking at it")
    given = parser.parse_args()
    if given.keep:
        check(given.binary.resolve(), given.node_modules, given.keep)
        return
    with tempfile.TemporaryDirectory(prefix="passerelle-document-") as folder:
        check(given.binary.resolve(), given.node_modules, pathlib.Path(folder))


if __name__ == "__main__":
    main()
