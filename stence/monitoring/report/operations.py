"""Sections "Operations" and "Workload" of the report: arrivals, time to score, share of flagged ECGs."""

from __future__ import annotations

from collections.abc import Mapping

from stence.monitoring.report.answers import Answer
from stence.monitoring.report.charts import Line, bars, nice, trend
from stence.monitoring.report.layout import Block
from stence.monitoring.report.tables import interval, plain, text

ABOUT = "Arrival of ECGs, usable files, and time to score."
PROMISE = "The threshold of the list was chosen with a promised share of flagged patients."
UNLIKELY = 0.001
"""Days with an adjusted p below this value are marked with a dot."""


def parts(answers: Mapping[str, Answer]) -> list[Block]:
    """Operations by day, arrivals by device, refused files, and new categories."""
    return [_days(answers["operations"]), _devices(answers["arrivals"]), _refused(answers), _new(answers)]


def workload(answers: Mapping[str, Answer]) -> Block:
    """The share of flagged ECGs, compared with the promise."""
    answer = answers["workload"]
    charts = []
    for target, rows in answer.groups("target"):
        rates = [row["flag_rate"] for row in rows]
        promised = [row["promised"] for row in rows]
        lines = [
            Line(
                rates,
                low=[row["flag_rate_lower"] for row in rows],
                high=[row["flag_rate_upper"] for row in rows],
            ),
            Line(promised, "reference"),
        ]
        top = nice(max([value for value in (*rates, *promised) if value is not None], default=0) * 1.3)
        unlikely = [below(row["p_value"]) for row in rows]
        charts.append(trend(target, [row["day"] for row in rows], lines, top, unlikely))
    columns = [
        text("Target", "target"),
        text("Day", "day"),
        interval("Flagged", "flag_rate", "percent"),
        plain("Promised", "promised", "percent"),
        plain("p", "p_value", "p"),
        plain("ECGs", "ecgs", "count"),
        plain("Patients flagged", "patients_flagged", "count"),
        plain("Promised a day", "patients_flagged_promised", "rate"),
        plain("Patients", "patients", "count"),
    ]
    title = "Share of ECGs flagged"
    return Block(answer, columns, title=title, charts=charts, legend="workload", is_folded=True)


def below(p: float | None) -> bool:
    """True if p is small enough for a mark."""
    return p is not None and p < UNLIKELY


def _days(answer: Answer) -> Block:
    rows = answer.records()
    days = [row["day"] for row in rows]

    def chart(title: str, *names: str, unlikely: str | None = None) -> str:
        lines = [
            Line([row[name] for row in rows], look)
            for name, look in zip(names, ("model", "other"), strict=False)
        ]
        known = [value for line in lines for value in line.values if value is not None]
        marked = [below(row[unlikely]) for row in rows] if unlikely else []
        return trend(title, days, lines, nice(max(known, default=0)), marked)

    charts = (
        [
            chart("ECGs recorded", "ecgs_arrived", unlikely="feed_p"),
            chart("Share of files in quarantine", "quarantine_rate"),
            chart("Hours from recording to score", "latency_hours_median", "latency_hours_p95"),
            chart("ECGs waiting", "backlog"),
            chart("ECGs per second", "ecgs_per_second"),
            chart("Failed runs", "runs_failed"),
        ]
        if rows
        else []
    )
    columns = [
        text("Day", "day"),
        plain("Recorded", "ecgs_arrived", "count"),
        plain("Of reference", "feed_ratio", "percent"),
        plain("p", "feed_p", "p"),
        plain("In quarantine", "quarantine_rate", "percent"),
        plain("Scored", "ecgs_scored", "count"),
        plain("Waiting", "backlog", "count"),
        plain("Longest wait", "backlog_age_hours", "hours"),
        plain("To score, median", "latency_hours_median", "hours"),
        plain("95th percentile", "latency_hours_p95", "hours"),
        plain("ECGs/s", "ecgs_per_second", "rate"),
        plain("Failed", "runs_failed", "count"),
    ]
    return Block(answer, columns, title="By day", charts=charts, legend="days", is_folded=True)


def _devices(answer: Answer) -> Block:
    most = nice(max((row["ecgs"] for row in answer.records()), default=0))
    charts = [
        trend(
            member,
            [row["day"] for row in rows],
            [Line([row["ecgs"] for row in rows])],
            most,
            [below(row["feed_p"]) for row in rows],
        )
        for member, rows in answer.groups("member")
    ]
    columns = [
        text("Device", "member"),
        text("Day", "day"),
        plain("ECGs", "ecgs", "count"),
        plain("Of reference", "feed_ratio", "percent"),
        plain("p", "feed_p", "p"),
    ]
    return Block(answer, columns, title="ECGs by device", charts=charts, legend="marked", is_folded=True)


def _refused(answers: Mapping[str, Answer]) -> Block:
    answer, days = answers["quarantine"], [row["day"] for row in answers["quarantine"].records()]
    most = nice(max((row["files"] for row in answer.records()), default=0))
    charts = [
        bars(
            reason,
            [row["day"] for row in rows],
            [row["files"] for row in rows],
            min(days),
            max(days),
            most,
        )
        for reason, rows in answer.groups("reason")
    ]
    columns = [
        text("Reason", "reason"),
        text("Day", "day"),
        plain("Files", "files", "count"),
        plain("Still open", "open", "count"),
    ]
    title = "New files in quarantine, by reason"
    return Block(answer, columns, title=title, charts=charts, is_folded=True)


def _new(answers: Mapping[str, Answer]) -> Block:
    columns = [
        text("Category", "dimension"),
        text("New value", "member"),
        text("First", "first_day"),
        text("Last", "last_day"),
        plain("ECGs", "ecgs", "count"),
    ]
    return Block(answers["new_categories"], columns, "None.")
