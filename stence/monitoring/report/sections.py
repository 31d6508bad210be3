"""The report, section by section: from how things stand to what was found about the flags."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

from stence.monitoring.report import drift, operations, outcomes
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.changes import Previous
from stence.monitoring.report.layout import contents, section, shown
from stence.monitoring.report.tables import Column, Remembered, lit, plain, prose, text, word
from stence.page import page

STALE = timedelta(days=2)
"""A report tells where the newest figures are of an earlier day than so long before it."""
STYLE = Path(__file__).with_name("report.css")
SECTIONS = (
    ("glance", "At a glance"),
    ("changes", "What changed"),
    ("operations", "Operations"),
    ("drift", "Drift"),
    ("workload", "Workload"),
    ("outcomes", "Outcomes"),
    ("models", "Models"),
    ("reviews", "Reviews"),
)
TITLES = dict(SECTIONS)


def report_page(
    answers: Mapping[str, Answer], day: date, made_at: datetime, previous: Previous | None
) -> str:
    """The whole page. ``previous`` is the report before; None where this is the first."""
    body = "\n".join(
        [
            _head(answers, day, made_at),
            _glance(answers, day),
            _changes(answers, previous),
            section("operations", TITLES["operations"], operations.ABOUT, *operations.parts(answers)),
            section("drift", TITLES["drift"], drift.ABOUT, *drift.parts(answers)),
            section("workload", TITLES["workload"], operations.PROMISE, operations.workload(answers)),
            section("outcomes", TITLES["outcomes"], outcomes.ABOUT, *outcomes.parts(answers)),
            _models(answers),
            _reviews(answers),
            _foot(answers),
        ]
    )
    return page(f"Monitoring {day}", f"<main>\n{body}\n</main>", STYLE.read_text(encoding="utf-8"))


def _head(answers: Mapping[str, Answer], day: date, made_at: datetime) -> str:
    champions = [each["version"] for each in answers["models"].records() if each["state"] == "champion"]
    champion = html.escape(champions[0]) if champions else "none yet"
    return (
        f"<header><h1>Monitoring, {word(day)}</h1>\n"
        f'<p class="soft">Champion: <b>{champion}</b>. Made {word(made_at)}. '
        f"No patient is named here.</p></header>\n{contents(SECTIONS)}"
    )


def _glance(answers: Mapping[str, Answer], day: date) -> str:
    return section(
        "glance",
        TITLES["glance"],
        "Act: a critical alert is open. Look: a warning is. Quiet: neither.",
        *_headlines(answers["lights"], day),
        shown(
            answers["alerts"],
            [
                lit("Severity", "severity"),
                prose("What, and what to do", "detail"),
                text("Rule", "rule"),
                text("Where", "slice_value"),
                text("Since", "opened_at"),
                text("Taken up by", "acknowledged_by"),
            ],
            "None.",
        ),
        shown(
            answers["lights"],
            [
                text("Area", "area"),
                lit("State", "light"),
                plain("Critical", "critical", "count"),
                plain("Warnings", "warnings", "count"),
                plain("Remarks", "infos", "count"),
                text("Measured up to", "day"),
                plain("Figures", "figures", "count"),
            ],
        ),
    )


def _headlines(lights: Answer, day: date) -> list[str]:
    """The worst first, each in a sentence."""
    rows = lights.records()
    areas = {
        light: ", ".join(row["area"] for row in rows if row["light"] == light) for light in ("act", "look")
    }
    said = [("act", f"■ Act: {areas['act']}.")] if areas["act"] else []
    newest = max((row["day"] for row in rows if row["day"] is not None), default=None)
    if newest is None or newest < day - STALE:
        said.append(("act", "■ Nothing was measured of the last days: see whether the monitor runs."))
    if areas["look"]:
        said.append(("look", f"▲ Look: {areas['look']}."))
    said = said or [("quiet", "● All that is measured is quiet.")]
    return [f'<p class="headline {look}"><b>{html.escape(words)}</b></p>' for look, words in said]


def _changes(answers: Mapping[str, Answer], previous: Previous | None) -> str:
    columns = [
        text("Figure", "title"),
        Column("Now", ("value", "lower", "upper"), kind_from="unit"),
        plain("Observations", "count", "count"),
        text("Day", "day"),
    ]
    if previous is None:
        about, before, news = "This is the first report.", [], []
    else:
        about = f"Since the report of {previous.day:%Y-%m-%d}."
        before = [Remembered(previous.figures)]
        news = [
            shown(
                answers["alert_changes"],
                [
                    lit("Severity", "severity"),
                    text("Rule", "rule"),
                    text("Where", "slice_value"),
                    text("Raised", "opened_at"),
                    text("Resolved", "resolved_at"),
                    text("By", "resolved_by"),
                ],
                "None.",
            ),
            shown(
                answers["model_changes"],
                [
                    text("When", "changed_at"),
                    text("Version", "version"),
                    text("From", "from_state"),
                    text("To", "to_state"),
                    text("By", "changed_by"),
                    text("Because", "reason"),
                ],
                "None.",
            ),
        ]
    figures = shown(answers["key_figures"], [*columns[:2], *before, *columns[2:]], "None yet.")
    return section("changes", TITLES["changes"], about, figures, *news)


def _models(answers: Mapping[str, Answer]) -> str:
    return section(
        "models",
        TITLES["models"],
        "AUROC is of the model's own test patients, for a stenosis of at least 70 %.",
        shown(
            answers["models"],
            [
                text("Version", "version"),
                text("State", "state"),
                text("Trained", "trained_at"),
                text("Since", "changed_at"),
                text("By", "changed_by"),
                text("Because", "reason"),
                plain("AUROC", "auroc_stenosis_70", "figure"),
            ],
        ),
    )


def _reviews(answers: Mapping[str, Answer]) -> str:
    return section(
        "reviews",
        TITLES["reviews"],
        "Flags by what people found. Confirmed: of those confirmed or dismissed.",
        shown(
            answers["reviews"],
            [
                text("Model", "model_version"),
                text("Target", "target"),
                plain("Flags", "flags", "count"),
                plain("Not looked at", "open", "count"),
                plain("Reviewed", "reviewed", "count"),
                plain("Confirmed", "confirmed", "count"),
                plain("Dismissed", "dismissed", "count"),
                plain("Withdrawn", "withdrawn", "count"),
                plain("Confirmed", "confirmed_share", "percent"),
                plain("Flag to verdict, median", "median_days", "days"),
            ],
            "No flag yet.",
        ),
    )


def _foot(answers: Mapping[str, Answer]) -> str:
    runs = shown(
        answers["runs"],
        [
            text("Started", "started_at"),
            text("Ended", "finished_at"),
            text("State", "state"),
            plain("Days", "days", "count"),
            plain("Figures", "metrics", "count"),
            plain("Alerts raised", "alerts_opened", "count"),
        ],
        "It never ran.",
    )
    return (
        f"<footer>{runs}\n<p>Every number comes from a view of the database, by the SQL beside it. "
        "Intervals are of 95 %.</p></footer>"
    )
