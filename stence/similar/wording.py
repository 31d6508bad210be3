"""Similar studies as rows for a terminal, and as HTML for the page of an ECG."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from stence.page import templates
from stence.similar.studies import SimilarStudies, SimilarStudy

TEMPLATES = Path(__file__).parent / "templates"
COLUMNS = ("study", "similarity", "worst %", "narrowed", "intervention", "sex", "age", "days after the ECG")
CAUTION = "Studies of other patients, from the model's training: they say nothing certain about this patient."


def row_of(study: SimilarStudy) -> tuple[str | float, ...]:
    """Return the cells of a study, one for each of ``COLUMNS``."""
    return (
        study.label,
        study.similarity,
        study.worst_degree,
        study.stenoses or "no stenosis",
        "yes" if study.intervention else "no",
        study.sex or "unknown",
        study.age_band or "unknown",
        "unknown" if study.days_before is None else round(study.days_before),
    )


def html(found: SimilarStudies) -> Markup:
    """Render the studies, or the reason why there are none, as a part of a page."""
    template = templates(TEMPLATES).get_template("similar.html.j2")
    rows = [row_of(study) for study in found.studies]
    return Markup(template.render(found=found, columns=COLUMNS, rows=rows, caution=CAUTION))  # noqa: S704
