"""Which metrics an expression of PromQL reads. Not a parser: enough for expressions that Prometheus itself accepts."""

import re

WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"}
# What is no name of a metric: texts, matchers, ranges, lists of labels, numbers and durations.
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
OTHERS = (
    re.compile(r"\{[^}]*\}"),
    re.compile(r"\[[^\]]*\]"),
    re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
    re.compile(r"\b\d[\d.]*(e[+-]?\d+)?(ms|[smhdwy])?\b"),
)
# A name before a parenthesis is a function, or an aggregation whose labels are gone.
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()(?![a-zA-Z0-9_:])")
SERIES_OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def metrics(expression):
    """The names of the metrics in an expression."""
    # Texts first: they may hold any bracket.
    rest = TEXT.sub("", expression)
    for other in OTHERS:
        rest = other.sub("", rest)
    return {name for name in NAME.findall(rest) if name.lower() not in WORDS}


def base(name, declared):
    """The declared metric behind a series of a histogram."""
    stem = SERIES_OF_A_HISTOGRAM.sub("", name)
    return stem if name not in declared and stem in declared else name
