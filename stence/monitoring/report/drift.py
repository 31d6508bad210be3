"""Section "Drift" of the report: inputs, embeddings, scores and cath reports against the reference."""

from __future__ import annotations

from collections.abc import Mapping

from stence.domain.targets import DECISIVE
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.charts import Line, histogram, nice, trend
from stence.monitoring.report.layout import Block
from stence.monitoring.report.operations import below
from stence.monitoring.report.tables import interval, plain, text

ABOUT = (
    "Distance of each day from the days of the model's reference. "
    "p: probability of at least this distance by chance, adjusted for multiple comparisons."
)


def parts(answers: Mapping[str, Answer]) -> list[Block]:
    """Current distances, then each area over time."""
    return [
        _farthest(answers["drift"]),
        _distances("Inputs: largest distance of all leads, by measure", answers["input_trend"], "measure"),
        _distances("Embeddings: all ECGs, each device and each site", answers["embedding_trend"], "part"),
        _scores(answers["score_trend"]),
        _spread(answers["score_histogram"]),
    ]


def _farthest(answer: Answer) -> Block:
    columns = [
        text("Area", "area"),
        text("Measure", "subject"),
        text("Group", "dimension", "member"),
        plain("Distance", "distance", "figure"),
        plain("p", "p_value", "p"),
        plain("PSI", "psi", "figure"),
        plain("PSI, day before", "psi_consecutive", "figure"),
        plain("Observations", "observations", "count"),
        text("Day", "day"),
    ]
    return Block(answer, columns, "No comparison yet.")


def _distances(title: str, answer: Answer, by: str) -> Block:
    top = nice(max((row["distance"] or 0 for row in answer.records()), default=0))
    charts = [
        trend(
            name,
            [row["day"] for row in rows],
            [Line([row["distance"] for row in rows])],
            top,
            [below(row["p_value"]) for row in rows],
        )
        for name, rows in answer.groups(by)
    ]
    columns = [
        text(by.capitalize(), by),
        text("Day", "day"),
        plain("Distance", "distance", "figure"),
        plain("p", "p_value", "p"),
        plain("ECGs", "ecgs", "count"),
    ]
    return Block(answer, columns, title=title, charts=charts, legend="distances", is_folded=True)


def _scores(answer: Answer) -> Block:
    charts = []
    for target, rows in answer.groups("target"):
        means = [row["mean"] for row in rows]
        low, high = [row["mean_lower"] for row in rows], [row["mean_upper"] for row in rows]
        top = nice(max((value for value in (*means, *high) if value is not None), default=0))
        unlikely = [any(below(row[name]) for name in ("p_value", "shift_p", "ewma_p")) for row in rows]
        charts.append(
            trend(target, [row["day"] for row in rows], [Line(means, low=low, high=high)], top, unlikely)
        )
    columns = [
        text("Target", "target"),
        text("Day", "day"),
        interval("Mean", "mean"),
        plain("Distance", "distance", "figure"),
        plain("p", "p_value", "p"),
        plain("Shift, SD", "shift", "figure"),
        plain("p", "shift_p", "p"),
        plain("Moving average, SD", "ewma", "figure"),
        plain("p", "ewma_p", "p"),
        plain("PSI", "psi", "figure"),
        plain("Agreement", "agreement", "figure"),
        plain("ECGs", "ecgs", "count"),
    ]
    return Block(answer, columns, title="Scores", charts=charts, legend="scores", is_folded=True)


def _spread(answer: Answer) -> Block:
    rows = answer.records()
    chart = histogram(
        DECISIVE,
        *(_shares([float(row[name]) for row in rows]) for name in ("ecgs", "ecgs_before")),
    )
    columns = [
        plain("Probability from", "from_probability", "figure"),
        plain("ECGs, last days", "ecgs", "count"),
        plain("ECGs, before", "ecgs_before", "count"),
    ]
    title = "Distribution of the scores"
    return Block(answer, columns, title=title, charts=[chart], legend="histogram", is_folded=True)


def _shares(counts: list[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [count / total for count in counts]
