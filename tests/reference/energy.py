#!/usr/bin/env python3
"""Figures of the EcoLogits library itself, for the Rust port to agree with.

    pip install ecologits==0.11.3
    python energy.py            writes energy.json beside this script
    python energy.py --check    computes again and compares with energy.json

The library's own `llm_impacts` is called: no formula and no table is repeated here.
"""

import json
import logging
import math
import pathlib
import sys
from importlib.metadata import version

from ecologits.tracers.utils import llm_impacts

FIXTURE = pathlib.Path(__file__).with_name("energy.json")
# The library's names of the vendors, and this project's.
VENDORS = {"mistralai": "mistral_ai", "openai": "openai"}
# Vendor, model, zone (None for the library's own choice), output tokens, measured seconds.
CASES = [
    ("mistralai", model, zone, tokens, seconds)
    for model, zone in [
        ("mistral-small-2603", None),
        ("mistral-small-2603", "FRA"),
        ("mistral-small-latest", "EEE"),
        ("mistral-medium-3-5", None),
        ("mistral-medium-latest", "DEU"),
        ("mistral-large-2512", "USA"),
        ("mistral-large-4-0", "NLD"),
        ("ministral-3b-2512", "IRL"),
    ]
    for tokens, seconds in [(1, None), (400, None), (400, 1.5), (4000, None)]
] + [
    ("openai", model, zone, tokens, seconds)
    for model, zone in [
        ("gpt-6-luna", None),
        ("gpt-6-sol", "EEE"),
        ("gpt-5.4-mini", None),
        ("gpt-5-pro", "WOR"),
        ("gpt-4o-mini", "SWE"),
        ("gpt-5-chat-latest", "FRA"),
        ("chat-latest", "USA"),
        ("gpt-6-astra", "DEU"),
    ]
    for tokens, seconds in [(1, None), (400, None), (400, 1.5), (4000, None)]
]


def ends(value, unit):
    """Lower and upper end of a figure of the library, in this project's unit."""
    if isinstance(value, (int, float)):
        return [value * unit, value * unit]
    return [value.min * unit, value.max * unit]


def figures(vendor, model, zone, tokens, seconds):
    """One case and what the library says of it."""
    impacts = llm_impacts(vendor, model, tokens, math.inf if seconds is None else seconds, zone)
    if impacts.errors:
        raise SystemExit(f"{vendor}/{model}: {impacts.errors}")
    return {
        "provider": VENDORS[vendor],
        "model": model,
        "zone": zone,
        "tokens": tokens,
        "seconds": seconds,
        "energy_wh": ends(impacts.energy.value, 1e3),
        "usage_gco2e": ends(impacts.usage.gwp.value, 1e3),
        "embodied_gco2e": ends(impacts.embodied.gwp.value, 1e3),
        "total_gco2e": ends(impacts.gwp.value, 1e3),
        "water_ml": ends(impacts.wcf.value, 1e3),
        "adpe_ugsbe": ends(impacts.adpe.value, 1e9),
        "primary_energy_kj": ends(impacts.pe.value, 1e3),
    }


def differs(old, new):
    """Whether two values differ by more than the last bits of a float."""
    if isinstance(old, list):
        return len(old) != len(new) or any(differs(*pair) for pair in zip(old, new))
    if isinstance(old, float) and isinstance(new, float):
        return not math.isclose(old, new, rel_tol=1e-12)
    return old != new


def main():
    logging.disable(logging.WARNING)
    fresh = {"library": "ecologits", "version": version("ecologits"), "cases": [figures(*case) for case in CASES]}
    if "--check" not in sys.argv[1:]:
        head = {key: value for key, value in fresh.items() if key != "cases"}
        rows = ",\n    ".join(json.dumps(case) for case in fresh["cases"])
        FIXTURE.write_text(json.dumps(head)[:-1] + ', "cases": [\n    ' + rows + "\n]}\n", encoding="utf-8")
        return
    stored = json.loads(FIXTURE.read_text(encoding="utf-8"))
    if (stored["version"], len(stored["cases"])) != (fresh["version"], len(fresh["cases"])):
        raise SystemExit("energy.json was made with another release or another list of cases")
    wrong = [
        (new["provider"], new["model"], new["zone"], new["tokens"], key)
        for old, new in zip(stored["cases"], fresh["cases"])
        for key in new
        if key not in old or differs(old[key], new[key])
    ]
    if wrong:
        raise SystemExit(f"{len(wrong)} figures differ, first {wrong[0]}")
    print(f"{len(fresh['cases'])} cases agree with ecologits {fresh['version']}")


if __name__ == "__main__":
    main()
