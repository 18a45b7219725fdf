"""Which metrics an expression of PromQL reads. Not a parser: enough for expressions that Prometheus itself accepts."""

import re

WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"}
LABELS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
# As in quantile_over_time(…): a name before a parenthesis is a function or an aggregation.
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()(?![a-zA-Z0-9_:])")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def metrics(expression):
    """The names of the metrics in an expression."""
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    rest = re.sub(r"\{[^}]*\}", "", rest)
    rest = re.sub(r"\[[^\]]*\]", "", rest)
    rest = LABELS.sub("", rest)
    # An aggregation may have its labels before its parenthesis: `sum by (le) (…)` is now `sum  (…)`.
    rest = re.sub(r"\b\d[\d.]*(e[+-]?\d+)?(ms|[smhdwy])?\b", "", rest)
    names = {name for name in NAME.findall(rest) if name.lower() not in WORDS}
    return names


def base(name, declared):
    """The declared metric behind a series of a histogram."""
    stem = HISTOGRAM.sub("", name)
    return stem if name not in declared and stem in declared else name
