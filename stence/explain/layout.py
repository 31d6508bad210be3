"""Pages of ECGs as HTML: one with a score, one without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from stence import page
from stence.ecg import POLICY, Action, Finding, Recording, machine
from stence.explain.gathering import Earlier, ScoredEcg
from stence.explain.paper import Mark, draw
from stence.explain.saliency import Contributions, Explanation

TEMPLATES = Path(__file__).with_name("templates")
STYLE = Path(__file__).with_name("page.css")
TREND_WIDTH, TREND_HEIGHT, TREND_LEFT, TREND_TOP = 480, 130, 34, 10
"""Size of the trend's picture in pixels, and its margins at the left and the top."""


class Bar(NamedTuple):
    """A row of contributions: both changes of the log-odds, each with the length of its bar, -50 to 50."""

    name: str
    gradient: float
    gradient_length: float
    occluded: float
    occluded_length: float


@dataclass(frozen=True, slots=True)
class Trend:
    """The patient's scores as a chart: places of the points and of the threshold in pixels."""

    points: Sequence[tuple[float, float, Earlier]]
    threshold: float
    top: float
    first: datetime
    last: datetime

    @property
    def line(self) -> str:
        """The points as SVG coordinates."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in self.points)


def ecg_page(
    ecg: ScoredEcg,
    recording: Recording,
    explanation: Explanation,
    written_at: datetime,
    similar: Markup | None = None,
) -> str:
    """Return the page of a scored ECG. ``similar`` is HTML about the most similar cath studies."""
    body = render(
        "ecg.html.j2",
        ecg=ecg,
        explanation=explanation,
        drawing=draw(recording, explanation.beats, explanation.marks, explanation.windows),
        marked=in_words(explanation.candidates),
        bars=[("lead", _bars(explanation.leads)), ("part of the beat", _bars(explanation.parts))],
        trend=_trend(ecg),
        similar=similar,
        written_at=written_at,
    )
    return page.page(f"ECG {ecg.ecg_id}", body, STYLE.read_text(encoding="utf-8"))


def inspection_page(
    name: str,
    recording: Recording | None,
    findings: Sequence[Finding],
    written_at: datetime,
    patient: str | None = None,
) -> str:
    """Return the page of an ECG file without a score; ``recording`` is None if it cannot be read.

    ``patient`` is the number that the page shows, if any.
    """
    refused = [finding for finding in findings if POLICY[finding.reason] is Action.QUARANTINE]
    body = render(
        "inspection.html.j2",
        name=name,
        patient=patient,
        recording=recording,
        drawing=draw(recording) if recording else None,
        refused=refused,
        warnings=[finding for finding in findings if finding not in refused],
        written_at=written_at,
    )
    return page.page(name, body, STYLE.read_text(encoding="utf-8"))


def render(template: str, **values: object) -> str:
    """Render a template of this room."""
    templates = page.templates(TEMPLATES)
    templates.filters["moment"] = lambda moment: f"{moment:%Y-%m-%d %H:%M}"
    templates.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    templates.filters["measurements"] = machine.in_words
    return templates.get_template(template).render(values)


def in_words(marks: Sequence[Mark]) -> str:
    """Name the marks by part of the beat.

    >>> from stence.ecg.delineation import Part
    >>> in_words([Mark("V4", Part.ST_T), Mark("V5", Part.ST_T), Mark("II", Part.QRS)])
    'ST-T in V4 and V5, QRS in II'
    """
    by_part = {part: [mark.lead for mark in marks if mark.part == part] for _, part in marks}
    return ", ".join(f"{part} in {_joined(leads)}" for part, leads in by_part.items())


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _bars(found: Contributions) -> list[Bar]:
    """Scale both columns to their largest value."""
    scales = [max(map(abs, column), default=0) or 1 for column in (found.gradients, found.occluded)]
    return [
        Bar(name, gradient, 50 * gradient / scales[0], occluded, 50 * occluded / scales[1])
        for name, gradient, occluded in zip(found.names, found.gradients, found.occluded, strict=True)
    ]


def _trend(ecg: ScoredEcg) -> Trend:
    """Lay the patient's scores out by time. A single score stands in the middle."""
    first, last = ecg.history[0].at, ecg.history[-1].at
    seconds = (last - first).total_seconds()
    top = min(1.0, 1.15 * max(ecg.threshold, *(each.probability for each in ecg.history)))

    def height(probability: float) -> float:
        return TREND_TOP + (1 - probability / top) * (TREND_HEIGHT - 2 * TREND_TOP - 12)

    def across(at: datetime) -> float:
        share = (at - first).total_seconds() / seconds if seconds else 0.5
        return TREND_LEFT + 8 + share * (TREND_WIDTH - TREND_LEFT - 24)

    points = [(across(each.at), height(each.probability), each) for each in ecg.history]
    return Trend(points, height(ecg.threshold), top, first, last)
