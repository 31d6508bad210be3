"""Missing fields: share of ECGs without age, sex or indication, compared with the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Engine, Row

from stence.database import queries
from stence.domain.windows import Window
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.profile import Profile
from stence.monitoring.samples import Slice, where
from stence.settings import Settings

FIELDS = ("age", "sex", "indication")

Counts = Mapping[Slice, Row[tuple[object, ...]]]


def measure(engine: Engine, settings: Settings, window: Window, profile: Profile | None) -> Iterator[Metric]:
    """``input_missing`` of each field, of all ECGs and by site; ``input_missing_expected``, the reference's.

    ``input_missing_expected`` is left out without a reference, and for slices without ECGs in the reference.
    """
    with engine.connect() as connection:
        now = _count(connection, window)
        before = _count(connection, _days(profile, settings)) if profile and profile.days else {}
    for of, counts in now.items():
        for field in FIELDS if counts.ecgs else ():
            share = statistics.proportion(getattr(counts, field), counts.ecgs)
            place = where("measure", field, of)
            yield Metric("input_missing", share.value, counts.ecgs, share.lower, share.upper, **place)
            if (earlier := before.get(of)) and earlier.ecgs:
                expected = getattr(earlier, field) / earlier.ecgs
                yield Metric("input_missing_expected", expected, earlier.ecgs, **place)


def _count(connection: Connection, window: Window) -> Counts:
    values = {"start": window.start, "end": window.end}
    return {
        Slice(row.site and "site", row.site): row
        for row in connection.execute(queries.statement("count_missing"), values)
    }


def _days(profile: Profile, settings: Settings) -> Window:
    first, last = (Window.of_day(day, settings.timezone) for day in (profile.days[0], profile.days[-1]))
    return Window(first.start, last.end)
