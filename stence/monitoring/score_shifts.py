"""Shifts of a day's mean scores from days of its kind, and their moving average."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.profile import Profile
from stence.monitoring.samples import ALL, SLICE_KEYS, Slice
from stence.monitoring.score_days import CHART_DAYS, MIN_LIKE_DAYS, TOGETHER, ScoreDays, Shift, Usual, read
from stence.settings import Settings


def measure(
    engine: Engine, settings: Settings, window: Window, model: Watched, profile: Profile
) -> Iterator[Metric]:
    """The metrics of ``compare`` for the day that ``window`` is.

    The moving average begins after the profile's days, and at most ``CHART_DAYS`` ago.
    """
    zone = ZoneInfo(settings.timezone)
    day = window.start.astimezone(zone).date()
    first = day - timedelta(days=CHART_DAYS - 1)
    if profile.days:
        first = max(first, profile.days[-1] + timedelta(days=1))
    since = Window(Window.of_day(first, settings.timezone).start, window.end)
    yield from compare(profile, read(engine, settings, since, model), day, model)


def compare(profile: Profile, days: ScoreDays, day: date, model: Watched) -> Iterator[Metric]:
    """Compare the mean scores of ``day``, the last of ``days``, with the profile's.

    Metrics: ``score_like_days`` and ``score_left_out``; ``score_shift`` and ``score_mean_p`` of the day;
    ``score_ewma`` and ``score_ewma_p`` of all ``days``. This is the earliest sign of a higher prevalence: the
    mean of a calibrated probability is the score statistic of prevalence. A metric without a slice is of the
    mean over all targets: one test for a change that moves all of them. p of the targets is Holm-adjusted.
    Where too little is known of days of this kind there is neither shift nor p.
    """
    if profile.score_days is None or not len(profile.sample):
        yield Metric("score_like_days", 0, model_version=model.version)
        return
    usual = Usual(profile.score_days, profile.sample.part(ALL).scores)
    like_days = usual.like_days(day)
    yield Metric("score_like_days", like_days, model_version=model.version)
    if like_days < MIN_LIKE_DAYS:
        return
    yield from _left_out(usual, days.of(day), day, profile, model)
    shifts = {each: usual.shift(days.of(each), each) for each in days.dates()}
    today = shifts.get(day)
    if today is None:
        return
    yield from _metrics("score_shift", "score_mean_p", usual.judge(today), today.ecgs, model)
    average = usual.moving([shift for shift in shifts.values() if shift is not None])
    yield from _metrics("score_ewma", "score_ewma_p", average, today.ecgs, model)


def _metrics(value: str, p: str, shift: Shift, ecgs: int, model: Watched) -> Iterator[Metric]:
    adjusted = [*statistics.holm(shift.p[:TOGETHER].tolist()), shift.p[TOGETHER]]
    for column, target in enumerate([*TARGET_NAMES, None]):
        at = (None if target is None else "target", target, model.version)
        low, high = shift.lower[column], shift.upper[column]
        yield Metric(value, shift.value[column], ecgs, low, high, *at)
        yield Metric(p, adjusted[column], ecgs, None, None, *at)


def _left_out(
    usual: Usual, today: ScoreDays, day: date, profile: Profile, model: Watched
) -> Iterator[Metric]:
    """Places that the reference hardly knows. Of new ones ``new_category`` tells."""
    for place, known in usual.left_out(today, day).items():
        share = today.ecgs[today.places == place].sum() / today.ecgs.sum()
        for key in SLICE_KEYS[::-1]:
            if Slice(key, place) in profile.arrivals:
                yield Metric("score_left_out", share, known, None, None, key, place, model.version)
                break
