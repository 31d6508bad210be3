"""The sections of the report, from the overview to the reviews."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

from stence.monitoring.report import drift, operations, outcomes
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.changes import Previous
from stence.monitoring.report.layout import Block, Headline, Section, render
from stence.monitoring.report.tables import Column, Remembered, lit, plain, prose, text, word
from stence.page import page

STALE = timedelta(days=2)
"""Maximum age of the newest metrics; older metrics raise a headline."""
STYLE = Path(__file__).with_name("report.css")


def report_page(
    answers: Mapping[str, Answer], day: date, made_at: datetime, previous: Previous | None, ward_list: str
) -> str:
    """The whole page. ``previous`` is the last report, or None; ``ward_list`` is the link to that list."""
    champions = [each["version"] for each in answers["models"].records() if each["state"] == "champion"]
    body = render(
        "report.html.j2",
        day=word(day),
        made_at=word(made_at),
        champion=champions[0] if champions else "none yet",
        sections=_sections(answers, day, previous),
        runs=_runs(answers),
        ward_list=ward_list,
    )
    return page(f"Monitoring {day}", body, STYLE.read_text(encoding="utf-8"))


def _sections(answers: Mapping[str, Answer], day: date, previous: Previous | None) -> list[Section]:
    return [
        _glance(answers, day),
        _changes(answers, previous),
        Section("operations", "Operations", operations.ABOUT, operations.parts(answers)),
        Section("drift", "Drift", drift.ABOUT, drift.parts(answers)),
        Section("workload", "Workload", operations.PROMISE, [operations.workload(answers)]),
        Section("outcomes", "Outcomes", outcomes.ABOUT, outcomes.parts(answers)),
        _models(answers),
        _reviews(answers),
    ]


def _glance(answers: Mapping[str, Answer], day: date) -> Section:
    open_alerts = [
        lit("Severity", "severity"),
        prose("Finding and action", "detail"),
        text("Rule", "rule"),
        text("Where", "slice_value"),
        text("Since", "opened_at"),
        text("Acknowledged by", "acknowledged_by"),
    ]
    lights = [
        text("Area", "area"),
        lit("State", "light"),
        plain("Critical", "critical", "count"),
        plain("Warnings", "warnings", "count"),
        plain("Remarks", "infos", "count"),
        text("Measured up to", "day"),
        plain("Metrics", "figures", "count"),
    ]
    return Section(
        "glance",
        "Overview",
        "Act: a critical alert is open. Look: a warning is open. Quiet: neither is open.",
        [Block(answers["alerts"], open_alerts, "None."), Block(answers["lights"], lights)],
        _headlines(answers["lights"], day),
    )


def _headlines(lights: Answer, day: date) -> list[Headline]:
    """One sentence per area, the most severe first."""
    rows = lights.records()
    areas = {
        light: ", ".join(row["area"] for row in rows if row["light"] == light) for light in ("act", "look")
    }
    said = [("act", f"■ Act: {areas['act']}.")] if areas["act"] else []
    newest = max((row["day"] for row in rows if row["day"] is not None), default=None)
    if newest is None or newest < day - STALE:
        said.append(("act", "■ The last days were not monitored: check whether the monitor runs."))
    if areas["look"]:
        said.append(("look", f"▲ Look: {areas['look']}."))
    said = said or [("quiet", "● No critical alert or warning is open.")]
    return [Headline(look, words) for look, words in said]


def _changes(answers: Mapping[str, Answer], previous: Previous | None) -> Section:
    columns = [
        text("Metric", "title"),
        Column("Now", ("value", "lower", "upper"), kind_from="unit"),
        plain("Observations", "count", "count"),
        text("Day", "day"),
    ]
    if previous is None:
        about, before, news = "This is the first report.", [], []
    else:
        about = f"Changes since the report of {previous.day:%Y-%m-%d}."
        before, news = [Remembered(previous.figures)], _news(answers)
    figures = Block(answers["key_figures"], [*columns[:2], *before, *columns[2:]], "None yet.")
    return Section("changes", "Changes", about, [figures, *news])


def _news(answers: Mapping[str, Answer]) -> list[Block]:
    alert_changes = [
        lit("Severity", "severity"),
        text("Rule", "rule"),
        text("Where", "slice_value"),
        text("Raised", "opened_at"),
        text("Resolved", "resolved_at"),
        text("By", "resolved_by"),
    ]
    model_changes = [
        text("When", "changed_at"),
        text("Version", "version"),
        text("From", "from_state"),
        text("To", "to_state"),
        text("By", "changed_by"),
        text("Because", "reason"),
    ]
    return [
        Block(answers["alert_changes"], alert_changes, "None."),
        Block(answers["model_changes"], model_changes, "None."),
    ]


def _models(answers: Mapping[str, Answer]) -> Section:
    columns = [
        text("Version", "version"),
        text("State", "state"),
        text("Trained", "trained_at"),
        text("Since", "changed_at"),
        text("By", "changed_by"),
        text("Because", "reason"),
        plain("AUROC", "auroc_stenosis_70", "figure"),
    ]
    about = "AUROC on the model's own test patients, for a stenosis of at least 70 %."
    return Section("models", "Models", about, [Block(answers["models"], columns)])


def _reviews(answers: Mapping[str, Answer]) -> Section:
    columns = [
        text("Model", "model_version"),
        text("Target", "target"),
        plain("Flags", "flags", "count"),
        plain("Not reviewed", "open", "count"),
        plain("Confirmed", "confirmed", "count"),
        plain("Dismissed", "dismissed", "count"),
        plain("Withdrawn", "withdrawn", "count"),
        plain("Share confirmed", "confirmed_share", "percent"),
        plain("Flag to verdict, median", "median_days", "days"),
    ]
    about = "Flags by verdict. Share confirmed: among flags that were confirmed or dismissed."
    return Section("reviews", "Reviews", about, [Block(answers["reviews"], columns, "No flag yet.")])


def _runs(answers: Mapping[str, Answer]) -> Block:
    columns = [
        text("Started", "started_at"),
        text("Ended", "finished_at"),
        text("State", "state"),
        plain("Days", "days", "count"),
        plain("Metrics", "metrics", "count"),
        plain("Alerts raised", "alerts_opened", "count"),
    ]
    return Block(answers["runs"], columns, "The monitor never ran.")
