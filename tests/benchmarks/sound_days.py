"""Alerts about scores on sound days, and on days with a true shift: the product's comparison and the former.

python tests/benchmarks/sound_days.py [--hospitals 100] [--days 20] [--charts 40] [--long 200] [--distances]

Scores are drawn, and compared by the product's own functions and rules, without a database. The former
comparison (Welch's test against all days of the reference, resampled to the day's sites) is beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence.evaluation.watched import Watched
from stence.monitoring import score_shifts, scores
from stence.monitoring.places import MIN_COUNT
from stence.monitoring.profile import Profile
from stence.monitoring.rules import Rules, find, load_rules
from stence.monitoring.samples import ALL, Sample
from stence.monitoring.score_days import ScoreDays, Usual
from stence.settings import Settings
from support.drawn_days import REFERENCE_DAYS, Drawn, World, as_score_days, draw, joined, reference

WORLDS = {
    "outpatients on weekdays, 400": World(sites=1, outpatients=0.6),
    "case mix SD .1, 400": World(case_mix=0.1),
    "rare site, 1 reference ECG": World(sites=2, rare=1),
    "case mix SD .1, 2,000": World(2_000, case_mix=0.1),
    "outpatients, case mix SD .1": World(sites=1, outpatients=0.6, case_mix=0.1),
    "days alike, 400": World(),
    "case mix SD .05, 400": World(case_mix=0.05),
    "rare site, 20 reference ECGs": World(sites=2, rare=20),
}
MODEL = Watched("model", "champion", "p", {"thresholds": {}})
RULES = Rules(
    {
        name: rule
        for name, rule in load_rules(Settings()).root.items()
        if rule.terms[0].metric.startswith("score_")
    }
)
CRITICAL = {"scores_rose", "scores_fell"}
DRIFT = {"scores_drift_up", "scores_drift_down"}
SHIFT = 0.3


class Found(NamedTuple):
    """Rules with a finding on each day, by the product and by the former comparison."""

    now: list[set[str]]
    former: list[set[str]]


def watch(
    rng: np.random.Generator,
    world: World,
    profile: Profile,
    shifts: Sequence[float],
    compared: tuple[int, int] = (0, 0),
) -> Found:
    """Judge as many days after the reference as there are ``shifts``.

    ``compared``: on how many days the former comparison and the Kolmogorov-Smirnov distances are taken, too.
    """
    seen, found = list[ScoreDays](), Found([], [])
    for number, shift in enumerate(shifts):
        day = draw(rng, world, REFERENCE_DAYS + number, shift)
        seen.append(as_score_days([day]))
        found.now.append(set(_judged(profile, joined(seen), day, number < compared[1])))
        if number < compared[0]:
            found.former.append(set(_formerly(profile.sample.part(ALL), day.sample().part(ALL))))
    return found


def _judged(profile: Profile, seen: ScoreDays, today: Drawn, distances: bool) -> Iterator[str]:
    """Rules with a finding."""
    metrics = [
        *(scores.distances(MODEL, profile.sample.like(today.day), today.sample()) if distances else ()),
        *score_shifts.compare(profile, seen, today.day, MODEL),
    ]
    yield from (finding.cause.rule for finding in find(RULES, [metrics]) if finding.holds)


def _formerly(before: Sample, now: Sample) -> Iterator[str]:
    ours, theirs = before.strata(), now.strata()
    places, counts = np.unique(theirs[np.isin(theirs, ours)], return_counts=True)
    at = [np.flatnonzero(ours == place) for place in places]
    factor = min(len(rows) / count for rows, count in zip(at, counts, strict=True))
    rows = np.concatenate([each[: int(factor * n)] for each, n in zip(at, counts, strict=True)])
    earlier, later = before.scores[rows], now.scores[np.isin(theirs, places)]
    if min(len(earlier), len(later)) < MIN_COUNT:
        yield "blind"
        return
    spread = np.maximum(earlier.std(axis=0), 1e-9)
    a, b = ((side / spread).mean(axis=1) for side in (earlier, later))
    shift = (b.mean() - a.mean()) / a.std(ddof=1)
    if abs(shift) > 0.1 and stats.ttest_ind(b, a, equal_var=False).pvalue < 0.001:
        yield "scores_rose" if shift > 0 else "scores_fell"


def _share(found: Sequence[NDArray[np.bool_]], times: float = 1.0) -> str:
    """Mean over hospitals of their shares, with its Monte-Carlo error."""
    shares = times * np.array([each.mean() for each in found])
    return f"{shares.mean():.2f} ± {shares.std(ddof=1) / len(shares) ** 0.5:.2f}"


def _hits(days: Sequence[set[str]], rules: set[str]) -> NDArray[np.bool_]:
    return np.array([bool(day & rules) for day in days])


def _table(hospitals: int, days: int, distances: bool) -> None:
    print(f"{hospitals} hospitals; sound: {days} days each; shift: {SHIFT} SD from the first day on, 7 days")
    columns = (
        "world", "critical/100 days", "former", "drift warnings/100", "KS warnings/100",
        "shift found on its day", "former", "within 7 days, critical", "or drift",
    )  # fmt: skip
    print(" | ".join(columns))
    for name, world in WORLDS.items():
        sound, moved = [], []
        for number in range(hospitals):
            rng = _rng(number)
            profile = reference(rng, world)
            sound.append(watch(rng, world, profile, [0.0] * days, (days, days * distances)))
            moved.append(watch(rng, world, profile, [SHIFT] * 7, (1, 0)))
        cells = [
            _share([_hits(each.now, CRITICAL) for each in sound], 100),
            _share([_hits(each.former, CRITICAL) for each in sound], 100),
            _share([_hits(each.now, DRIFT) for each in sound], 100),
            _share([_hits(each.now, {"scores_moved"}) for each in sound], 100),
            _share([_hits(each.now[:1], CRITICAL) for each in moved]),
            _share([_hits(each.former[:1], CRITICAL) for each in moved]),
            _share([_hits(each.now, CRITICAL).any(keepdims=True) for each in moved]),
            _share([_hits(each.now, CRITICAL | DRIFT).any(keepdims=True) for each in moved]),
        ]
        print(f"{name:30} | " + " | ".join(cells), flush=True)


def _run_lengths(hospitals: int, days: int) -> None:
    """Days until the first false alarm of the moving average, censored; and days until a slow drift."""
    print(f"\nmoving average, case mix SD .1, 400 ECGs a day: {hospitals} hospitals, {days} days")
    limits = (0.01, 0.005, 0.002, 0.001)
    for name, slope in (("none", 0.0), ("+.01 SD a day", 0.01), ("+.02 SD a day", 0.02)):
        p = np.array([_chart(_rng(20_000 + n), slope, days) for n in range(hospitals)])
        for limit in limits:
            hits = p < limit
            first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, days)
            alarms = (hits & ~np.pad(hits, ((0, 0), (1, 0)))[:, :-1]).sum()
            exposed = first.sum() / max(hits.any(axis=1).sum(), 1)
            print(
                f"drift {name:14} p < {limit}: alarm in {hits.any(axis=1).mean():.2f} of them, median day "
                f"{np.median(first):.0f}, one first alarm in {exposed:.0f} days, {alarms} alarms in all",
                flush=True,
            )


def _chart(rng: np.random.Generator, slope: float, days: int) -> list[float]:
    """p of the moving average on each day; 1 where it is below its rule's effect size."""
    world = World(case_mix=0.1)
    profile = reference(rng, world)
    assert profile.score_days is not None
    usual, shifts, found = Usual(profile.score_days, profile.sample.part(ALL).scores), [], []
    for number in range(days):
        day = draw(rng, world, REFERENCE_DAYS + number, slope * number)
        shift = usual.shift(as_score_days([day]), day.day)
        if shift is not None:
            shifts.append(shift)
        average = usual.moving(shifts[-score_shifts.CHART_DAYS :])
        found.append(float(average.p[-1]) if abs(average.value[-1]) > 0.05 else 1.0)
    return found


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([2026, seed])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hospitals", type=int, default=100)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--charts", type=int, default=40, help="hospitals with a moving average")
    parser.add_argument("--long", type=int, default=200, help="days of these")
    parser.add_argument("--distances", action="store_true", help="the slow Kolmogorov-Smirnov warnings too")
    asked = parser.parse_args()
    if asked.hospitals:
        _table(asked.hospitals, asked.days, asked.distances)
    _run_lengths(asked.charts, asked.long)


if __name__ == "__main__":
    main()
