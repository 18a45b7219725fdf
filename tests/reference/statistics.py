"""Reference values for the statistics of the comparison of vendors, from SciPy and NumPy.

Without an option, writes `statistics.json` beside this file: for each estimator a list of
cases with inputs and expected values. With `--check`, recomputes every expected value from
the committed inputs and exits 1 when one differs by more than 1e-9.

Needs numpy >= 2.0 and scipy >= 1.13. Nothing here shares code with the tested module:
intervals come from SciPy or from a second formula, medians from brute force, and the
draws of the bootstrap from NumPy's own PCG64.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy import optimize, stats

FILE = Path(__file__).with_suffix(".json")
TOLERANCE = 1e-9
LEVEL = 0.95
RIDGE = 1e-5
PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
PCG_STREAM = 0xA02BDBF7BB3C0A7AC28FA16A64ABF96
MASK = (1 << 128) - 1


# Expected values: one function per estimator, from the inputs of a case alone.


def normal_quantile(case):
    """Quantile of the standard normal."""
    return {"value": stats.norm.ppf(case["p"])}


def student_quantile(case):
    """Quantile of Student's distribution."""
    return {"value": stats.t.ppf(case["p"], case["degrees"])}


def wilson(case):
    """Wilson's interval by SciPy's binomial test."""
    test = stats.binomtest(case["successes"], case["n"])
    interval = test.proportion_ci(confidence_level=case["level"], method="wilson")
    return {"low": interval.low, "high": interval.high}


def wilson_real(successes, n, level):
    """Wilson's interval for real counts: the roots of (p - q)^2 = z^2 q (1 - q) / n."""
    z2 = stats.norm.ppf((1 + level) / 2) ** 2
    p = successes / n
    a, b, c = 1 + z2 / n, -(2 * p + z2 / n), p * p
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def jackknife(statistic, clusters):
    """Variance of a statistic by leaving out one cluster at a time."""
    keep = [np.delete(np.arange(clusters), c) for c in range(clusters)]
    values = np.array([statistic(index) for index in keep])
    return (clusters - 1) / clusters * np.sum((values - values.mean()) ** 2)


def ratio_variance(y, x):
    """Linearised variance of sum(y) / sum(x): the covariance form of the delta method."""
    c = len(y)
    covariance = np.cov(np.vstack([y, x]), ddof=1)
    my, mx = y.mean(), x.mean()
    gradient = np.array([1 / mx, -my / mx**2])
    return float(gradient @ covariance @ gradient) / c


def clustered_share(case):
    """Wilson's interval with the effective number of trials."""
    y, x = np.array(case["successes"], float), np.array(case["trials"], float)
    c, total = len(y), x.sum()
    share = y.sum() / total
    if share in (0.0, 1.0):
        n = min(c, total)
    else:
        degrees = max(total**2 / np.sum(x**2) - 1, 1)
        z, t = stats.norm.ppf((1 + LEVEL) / 2), stats.t.ppf((1 + LEVEL) / 2, degrees)
        n = min(share * (1 - share) / ratio_variance(y, x) * (z / t) ** 2, total)
    low, high = wilson_real(share * n, n, LEVEL)
    return {"value": share, "low": low, "high": high}


def ratio(case):
    """Ratio of sums, delta method, Student's interval; the jackknife must agree roughly."""
    y, x = np.array(case["numerators"]), np.array(case["denominators"])
    c = len(y)
    value, variance = y.sum() / x.sum(), ratio_variance(y, x)
    other = jackknife(lambda keep: y[keep].sum() / x[keep].sum(), c)
    agree(variance, other, "ratio")
    half = stats.t.ppf((1 + LEVEL) / 2, c - 1) * math.sqrt(variance)
    return {"value": value, "low": value - half, "high": value + half}


def ratio_difference(case):
    """Difference of two ratios over the same clusters, from the full covariance matrix."""
    names = ("numerators_1", "denominators_1", "numerators_2", "denominators_2")
    data = np.array([case[name] for name in names])
    c = data.shape[1]
    y1, x1, y2, x2 = data.mean(axis=1)
    gradient = np.array([1 / x1, -y1 / x1**2, -1 / x2, y2 / x2**2])
    variance = float(gradient @ np.cov(data, ddof=1) @ gradient) / c

    def difference(keep):
        s = data[:, keep].sum(axis=1)
        return s[0] / s[1] - s[2] / s[3]

    value = difference(np.arange(c))
    agree(variance, jackknife(difference, c), "ratio_difference")
    half = stats.t.ppf((1 + LEVEL) / 2, c - 1) * math.sqrt(variance)
    return {"value": value, "low": value - half, "high": value + half}


def agree(variance, other, name):
    """Two estimates of one variance that differ by a term of order 1/clusters."""
    if not 0.6 < variance / other < 1.6:
        raise SystemExit(
            f"{name}: delta method {variance} and jackknife {other} disagree"
        )


def quantile(case):
    """Weighted quantile by NumPy's inverted distribution function; failures are infinite."""
    values = np.array([cell[0] for cell in case["cells"]] + [math.inf])
    weights = np.array([cell[1] for cell in case["cells"]] + [case["beyond"]], float)
    value = np.quantile(values, case["q"], weights=weights, method="inverted_cdf")
    return {"value": None if math.isinf(value) else float(value)}


def standardised(case):
    """Standardised figures: each observation repeated as often as its cluster."""
    times = np.array(case["multiplicities"])
    rows = np.array(case["observations"])
    cluster, stratum, value = rows[:, 0], rows[:, 1], rows[:, 2].astype(float)
    repeated = np.repeat(np.arange(len(rows)), times[cluster] * rows[:, 3])
    stratum, value = stratum[repeated], value[repeated]
    shares = np.array(case["shares"]) / np.sum(case["shares"])
    means = [value[stratum == s].mean() for s in range(len(shares))]
    within = [(value[stratum == s] <= case["limit"]).mean() for s in range(len(shares))]
    weights = shares[stratum] / np.bincount(stratum)[stratum]
    return {
        "quantile": float(
            np.quantile(value, case["q"], weights=weights, method="inverted_cdf")
        ),
        "mean": float(shares @ means),
        "within": float(shares @ within),
    }


def hodges_lehmann(case):
    """Median of all averages of pairs, by brute force."""
    x = np.array(case["differences"])
    i, j = np.triu_indices(len(x))
    return {"value": float(np.median((x[i] + x[j]) / 2))}


def sign_flip(case):
    """Exact sign-flip test by SciPy: all sign patterns of one sample."""
    test = stats.permutation_test(
        (np.array(case["blocks"]),),
        lambda x, axis: np.abs(np.mean(x, axis=axis)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    return {"p": float(test.pvalue)}


def pcg64(seed, count):
    """The first 64-bit outputs of PCG64 with an explicit state and stream."""
    increment = (PCG_STREAM << 1 | 1) & MASK
    state = ((seed + increment) * PCG_MULTIPLIER + increment) & MASK
    generator = np.random.PCG64()
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state, "inc": increment},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return [int(word) for word in generator.random_raw(count)]


def expanded_interval(values, clusters):
    """Percentile interval, tail widened for few clusters."""
    t = stats.t.ppf((1 + LEVEL) / 2, clusters - 1)
    tail = stats.norm.cdf(-math.sqrt(clusters / (clusters - 1)) * t)
    rank = max(1, math.floor((len(values) + 1) * tail))
    ordered = sorted(values)
    return ordered[rank - 1], ordered[-rank]


def draws(seed, clusters, count):
    """Multiplicities of the clusters in each draw."""
    words = pcg64(seed, clusters * count)
    index = np.array([word * clusters >> 64 for word in words]).reshape(count, clusters)
    return [np.bincount(row, minlength=clusters) for row in index]


def bootstrap(case):
    """Cluster bootstrap of a mean and of a median, draw by draw."""
    values = np.array(case["values"])
    clusters = len(values)
    repeated = [
        np.repeat(values, m) for m in draws(case["seed"], clusters, case["draws"])
    ]
    mean = expanded_interval([x.mean() for x in repeated], clusters)
    medians = [np.quantile(x, 0.5, method="inverted_cdf") for x in repeated]
    median = expanded_interval(medians, clusters)
    return {
        "mean": float(values.mean()),
        "mean_low": float(mean[0]),
        "mean_high": float(mean[1]),
        "median_low": float(median[0]),
        "median_high": float(median[1]),
    }


def hodges_lehmann_interval(case):
    """Interval of the Hodges-Lehmann estimate over blocks, by brute force."""
    blocks = [np.array(block) for block in case["blocks"]]

    def centre(times):
        x = np.concatenate([np.tile(b, m) for b, m in zip(blocks, times, strict=True)])
        return hodges_lehmann({"differences": x})["value"]

    values = [centre(m) for m in draws(case["seed"], len(blocks), case["draws"])]
    low, high = expanded_interval(values, len(blocks))
    return {"value": centre(np.ones(len(blocks), int)), "low": low, "high": high}


def bradley_terry(case):
    """Ridged Bradley-Terry scores by a general optimiser."""
    wins = np.zeros((case["models"], case["models"]))
    for first, second, score in case["matches"]:
        wins[first, second] += score
        wins[second, first] += 1 - score

    def objective(beta):
        gap = beta[None, :] - beta[:, None]
        return np.sum(wins * np.logaddexp(0, gap)) + RIDGE / 2 * beta @ beta

    def surprise(beta):
        return 1 / (1 + np.exp(beta[:, None] - beta[None, :]))

    def gradient(beta):
        lost = wins * surprise(beta)
        return lost.sum(axis=0) - lost.sum(axis=1) + RIDGE * beta

    def hessian(beta):
        s = surprise(beta)
        curvature = wins * s * (1 - s)
        both = curvature + curvature.T
        return np.diag(both.sum(axis=1) + RIDGE) - both

    start = np.zeros(case["models"])
    rough = optimize.minimize(
        objective, start, jac=gradient, hess=hessian, method="trust-exact"
    ).x
    beta = optimize.root(gradient, rough, jac=hessian, method="hybr", tol=1e-14).x
    beta -= beta.mean()
    return {"scores": (1000 + 400 * beta / math.log(10)).tolist()}


def smallest(condition):
    """Smallest whole number from which a monotone condition holds."""
    high = 1
    while not condition(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle, high)
    return high


def quantile_interval_size(case):
    """All of n observations on one side of the quantile: the binomial tail."""
    q = case["q"]
    tail = (1 - LEVEL) / (2 if case["sides"] == 2 else 1)

    def enough(n):
        return max(stats.binom.pmf(n, n, q), stats.binom.pmf(0, n, q)) <= tail

    return {"n": smallest(enough)}


def quantile_ranks(case):
    """Ranks that enclose a quantile, each tail checked with SciPy's binomial."""
    n, q, tail = case["n"], case["q"], (1 - LEVEL) / 2
    ranks = np.arange(0, n + 2)
    lower = ranks[stats.binom.cdf(ranks - 1, n, q) <= tail].max()
    upper = ranks[stats.binom.sf(ranks - 1, n, q) <= tail].min()
    return {"lower": int(lower), "upper": int(upper)}


def preference_size(case):
    """Smallest n whose normal-theory power is reached; the exact power must be near."""
    p, power = case["p"], case["power"]

    def reached(n):
        critical = stats.norm.ppf((1 + LEVEL) / 2) * 0.5 / math.sqrt(n)
        spread = math.sqrt(p * (1 - p) / n)
        return stats.norm.sf((critical - abs(p - 0.5)) / spread) >= power

    n = smallest(reached)
    last = stats.binom.ppf((1 - LEVEL) / 2, n, 0.5) - 1
    exact = stats.binom.cdf(last, n, p) + stats.binom.sf(n - last - 1, n, p)
    # Whole votes make the exact test more careful than the formula.
    if not power - 0.1 < exact < power + 0.05:
        raise SystemExit(f"preference {p}: exact power {exact} at n = {n}")
    return {"n": n}


def median_ratio_size(case):
    """Smallest n per vendor whose normal-theory power for a log ratio is reached."""
    effect, power = abs(math.log(case["ratio"])), case["power"]

    def reached(n):
        error = case["sigma"] * math.sqrt(2 * math.pi / 2 / n)
        return stats.norm.cdf(effect / error - stats.norm.ppf((1 + LEVEL) / 2)) >= power

    return {"n": smallest(reached)}


# Inputs: written once, then kept in the file.


def inputs():
    """Cases of every estimator."""
    rng = np.random.default_rng(20261123)
    probabilities = [
        1e-6,
        0.001,
        0.005,
        0.02,
        0.025,
        0.2,
        0.5,
        0.8,
        0.9,
        0.95,
        0.975,
        0.995,
    ]
    degrees = [1, 2, 3, 5, 7, 15, 31, 47, 63, 223, 1000]
    counts = [
        (0, 1),
        (1, 1),
        (0, 20),
        (20, 20),
        (3, 7),
        (1, 300),
        (299, 300),
        (117, 194),
    ]
    counts += [(int(rng.integers(0, n + 1)), int(n)) for n in rng.integers(2, 5000, 40)]
    return {
        "normal_quantile": [{"p": p} for p in probabilities],
        "student_quantile": [
            {"p": p, "degrees": d} for p in probabilities if p != 0.5 for d in degrees
        ],
        "wilson": [
            {"successes": s, "n": n, "level": level}
            for s, n in counts
            for level in (0.8, 0.95, 0.99)
        ],
        "clustered_share": [clustered_case(rng, c) for c in (2, 5, 12, 32, 48, 64)],
        "ratio": [ratio_case(rng, c, 1) for c in (3, 8, 16, 32, 48, 64)],
        "ratio_difference": [ratio_case(rng, c, 2) for c in (8, 16, 32, 48, 64)],
        "quantile": [quantile_case(rng, i) for i in range(60)],
        "standardised": [standardised_case(rng) for _ in range(12)],
        "hodges_lehmann": [
            {"differences": differences(rng, n)}
            for n in (1, 2, 3, 4, 7, 10, 25, 40, 99, 200)
        ],
        "sign_flip": [
            {"blocks": np.round(rng.normal(shift, 1, n), 4).tolist()}
            for n in (2, 5, 6, 9, 12)
            for shift in (0.0, 0.5, 1.0)
        ]
        + [{"blocks": [1.0, 1.0, -1.0, 2.0, 2.0, -3.0, 1.0]}],
        "bootstrap": [
            {
                "values": np.round(rng.lognormal(0, 0.6, c), 5).tolist(),
                "seed": s,
                "draws": d,
            }
            for c, s, d in (
                (6, 1, 999),
                (12, 2, 500),
                (48, 2026, 400),
                (64, 1 << 63, 300),
            )
        ],
        "hodges_lehmann_interval": [
            {"blocks": [differences(rng, 4) for _ in range(c)], "seed": 7, "draws": 199}
            for c in (8, 20)
        ],
        "bradley_terry": [bradley_terry_case(rng, k) for k in (2, 3, 4, 6)]
        + [
            {
                "models": 3,
                "matches": [[0, 1, 1], [0, 2, 1], [1, 2, 1], [2, 1, 1], [0, 1, 1]],
            }
        ],
        "quantile_interval_size": [
            {"q": q, "sides": sides}
            for q in (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
            for sides in (1, 2)
        ],
        "quantile_ranks": [
            {"n": n, "q": q}
            for n, q in (
                (6, 0.5),
                (40, 0.5),
                (72, 0.95),
                (200, 0.95),
                (1000, 0.95),
                (400, 0.99),
            )
        ],
        "preference_size": [
            {"p": p, "power": power}
            for p in (0.4, 0.55, 0.6, 0.65, 0.8)
            for power in (0.8, 0.9)
        ],
        "median_ratio_size": [
            {"ratio": r, "sigma": sigma, "power": 0.8}
            for r in (0.8, 1.1, 1.2, 1.3)
            for sigma in (0.4, 0.6, 0.8)
        ],
    }


def differences(rng, n):
    """Differences in seconds, with ties."""
    return np.round(rng.normal(0.1, 0.5, n), 2).tolist()


def clustered_case(rng, c):
    """Votes of participants with their own leanings; one case without any success."""
    trials = rng.integers(1, 12, c)
    successes = rng.binomial(trials, rng.beta(3, 2, c)) if c > 2 else np.zeros(2, int)
    return {"successes": successes.tolist(), "trials": trials.tolist()}


def ratio_case(rng, c, ratios):
    """Sums per cluster; the two ratios share the size of their cluster."""
    size = rng.integers(20, 60, c)
    case = {}
    for r in range(1, ratios + 1):
        end = "" if ratios == 1 else f"_{r}"
        x = size + rng.integers(0, 10, c)
        case["numerators" + end] = np.round(x * rng.lognormal(0.5, 0.3, c), 3).tolist()
        case["denominators" + end] = x.astype(float).tolist()
    return case


def quantile_case(rng, i):
    """Cells with weights, some of them zero, and a weight beyond."""
    if i == 0:
        return {"cells": [[v, 1] for v in range(1, 11)], "beyond": 0, "q": 0.5}
    values = np.unique(rng.integers(100, 30_000, int(rng.integers(1, 25))))
    weights = rng.integers(0, 30, len(values))
    weights[0] += 1
    beyond = int(rng.integers(0, 3)) * int(weights.sum()) // 30
    q = float(rng.choice([0.07, 0.1, 0.5, 0.9, 0.95, 0.99]))
    return {
        "cells": np.column_stack([values, weights]).tolist(),
        "beyond": beyond,
        "q": q,
    }


def standardised_case(rng):
    """Observations as cluster, stratum, value, count."""
    n, clusters = 60, 8
    rows = np.column_stack(
        [
            rng.integers(0, clusters, n),
            rng.integers(0, 3, n),
            rng.integers(200, 9000, n),
            rng.integers(1, 4, n),
        ]
    )
    times = rng.multinomial(clusters, np.ones(clusters) / clusters)
    return {
        "shares": [float(x) for x in rng.integers(1, 9, 3)],
        "observations": rows.tolist(),
        "multiplicities": times.tolist(),
        "q": float(rng.choice([0.25, 0.5, 0.9])),
        "limit": 3000,
    }


def bradley_terry_case(rng, models):
    """Duels between models of different strength."""
    strength = rng.normal(0, 0.7, models)
    matches = []
    for _ in range(40 * models):
        first, second = rng.choice(models, 2, replace=False).tolist()
        tie = rng.random() < 0.2
        win = rng.random() < 1 / (1 + math.exp(strength[second] - strength[first]))
        matches.append([first, second, 0.5 if tie else float(win)])
    return {"models": models, "matches": matches}


def differing(path, committed, computed):
    """Paths of the values that differ by more than the tolerance."""
    if isinstance(committed, dict) and isinstance(computed, dict):
        keys = sorted(committed.keys() | computed.keys())
        pairs = [(key, committed.get(key), computed.get(key)) for key in keys]
    elif isinstance(committed, list) and isinstance(computed, list):
        if len(committed) != len(computed):
            return [path]
        pairs = [
            (i, a, b) for i, (a, b) in enumerate(zip(committed, computed, strict=True))
        ]
    elif committed is None or computed is None:
        return [] if committed is computed else [path]
    else:
        same = math.isclose(committed, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return [] if same else [path]
    return [found for key, a, b in pairs for found in differing(f"{path}/{key}", a, b)]


def check():
    """Recomputes the committed file; the exit status."""
    bad = []
    with FILE.open(encoding="utf-8") as file:
        committed = json.load(file)
    if committed.keys() != inputs().keys():
        bad.append("the list of estimators")
    for name, cases in committed.items():
        for number, case in enumerate(cases):
            computed = globals()[name](case["input"])
            bad += differing(f"{name}/{number}", case["expected"], computed)
    for path in bad:
        print(f"differs: {path}", file=sys.stderr)
    print(f"{sum(map(len, committed.values()))} cases checked, {len(bad)} differences")
    return 1 if bad else 0


def write():
    """Writes the file, one case a line."""
    blocks = []
    for name, cases in inputs().items():
        lines = [
            json.dumps(
                {"input": case, "expected": globals()[name](case)}, allow_nan=False
            )
            for case in cases
        ]
        blocks.append(f'  "{name}": [\n    ' + ",\n    ".join(lines) + "\n  ]")
    FILE.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed file"
    )
    if parser.parse_args().check:
        return check()
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
