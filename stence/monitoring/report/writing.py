"""Write the report into the store: one page for each day, and the newest page as ``latest.html``."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from stence.monitoring.report.answers import ask_everything
from stence.monitoring.report.changes import NAME, find_previous, kept
from stence.monitoring.report.sections import report_page
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report in the store: ``content`` (HTML) under ``key``, and under ``latest`` until the next report."""

    day: date
    key: str
    latest: str
    content: bytes


def write_report(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress, today: date | None = None
) -> ReportFile:
    """Write the report of ``today``, by default the current day in ``settings.timezone``.

    The report shows the changes since the newest report of an earlier day. A report of the same day is
    replaced. The report names no patient. Raises DatabaseUnavailableError and StoreUnavailableError.
    """
    made_at = datetime.now(ZoneInfo(settings.timezone))
    day = today or made_at.date()
    prefix = settings.monitoring_prefix
    previous = find_previous(store, prefix, day)
    answers = ask_everything(engine, day, previous.made_at if previous else None, progress)
    ward_list = posixpath.relpath(settings.ward_list_key, prefix)
    content = report_page(answers, day, made_at, previous, ward_list).encode()
    report = ReportFile(day, prefix + NAME.format(day=day, kind="html"), f"{prefix}latest.html", content)
    store.put(prefix + NAME.format(day=day, kind="json"), kept(day, made_at, answers["key_figures"]))
    store.put(report.key, content)
    store.put(report.latest, content)
    return report
