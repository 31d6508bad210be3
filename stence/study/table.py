"""Tables of a study: Markdown for people, CSV and JSON for machines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from stence.cohort import Split
from stence.fitting.tasks import BinaryTask
from stence.study.cells import Cell, Outcome
from stence.study.config import ABLATIONS, Arm, StudyConfig
from stence.study.contrasts import LEVEL, MIN_SEEDS, QUESTIONS, Difference, Family
from stence.study.data import Data
from stence.study.measures import Estimate
from stence.study.published import Published
from stence.study.statistics import Row

SPLITS = {Split.TRAIN: "training", Split.VALIDATION: "validation", Split.TEST: "test"}
ABOUT = ("encoder", "no_up_to", "yes_from", "label_fraction", "test_patients", "test_cases")


def to_csv(rows: Sequence[Row]) -> str:
    """Write the AUROCs as CSV, one line per row and arm; a metric that is not defined is empty."""
    lines = [[*_place(row), arm, *_numbers(estimate)] for row in rows for arm, estimate in row.aurocs.items()]
    return _csv([*ABOUT, "arm", "auroc", "auroc_lower", "auroc_upper"], lines)


def differences_csv(rows: Sequence[Row]) -> str:
    """Write the paired differences as CSV, one line per row and contrast."""
    found = [(_place(row), _found(each)) for row in rows for each in row.differences]
    columns = list(found[0][1]) if found else []
    return _csv([*ABOUT, *columns], [[*place, *each.values()] for place, each in found])


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return all rows with their AUROCs and differences."""
    return [
        {
            **dict(zip(ABOUT, _place(row), strict=True)),
            "auroc": {
                arm: dict(zip(_BOUNDS, _numbers(each), strict=True)) for arm, each in row.aurocs.items()
            },
            "differences": [_found(each) for each in row.differences],
        }
        for row in rows
    ]


def to_markdown(
    config: StudyConfig,
    data: Data,
    published: Mapping[str, Published],
    outcomes: Mapping[Cell, Outcome],
    rows: Sequence[Row],
) -> str:
    """Write the report: the design, the tables, and missing trainings with their reasons."""
    lines = [f"# Study {config.name}", "", *_about(config, data), "", *_aurocs(rows), ""]
    for family in Family:
        lines += _family(family, rows)
    return "\n".join([*lines, *_left_out(published), *_untrained(outcomes)]) + "\n"


def endpoint(task: BinaryTask) -> str:
    """Describe the endpoint for people."""
    if task.low == task.high:
        return f">= {task.high:g} %"
    return f">= {task.high:g} % against <= {task.low:g} %"


def _about(config: StudyConfig, data: Data) -> Iterator[str]:
    for recipe in config.recipes:
        names = ", ".join(name for name, choice in config.encoders.items() if choice.input == recipe)
        patients = ", ".join(
            f"{data.part(split, recipe).patient_count:,} {what}" for split, what in SPLITS.items()
        )
        yield f"- Patients: {patients}; ECGs prepared by {recipe.version}, for {names}."
    yield (
        f"- Gathered {data.gathered_at:%Y-%m-%d %H:%M} UTC; "
        f"{len(data.angiograms):,} studies with angiograms. Seeds: {', '.join(map(str, config.seeds))}."
    )
    yield ""
    yield (
        "The endpoint is the worst segment of the cath report. The metric is the AUROC per test patient of "
        "the cath lab (every patient weighs one, shared by the patient's ECGs), averaged over seeds. The "
        "95 % intervals hold the variation of patients (bootstrap) and of seeds; differences are paired by "
        "seed and patient."
    )
    yield ""
    yield (
        f"Verdicts follow Holm's p of each family: the probability of any wrong one is at most {LEVEL:.0%}. "
        f"`gain` is said of {Arm.STENCE} over published weights, or over {Arm.SCRATCH} where there are none. "
        f"Fewer than {MIN_SEEDS} seeds cannot tell."
    )
    yield ""
    yield (
        "`labels` is the share of training patients whose reports fine-tuning uses. "
        "Pretraining, done once per seed for all endpoints and shares, uses angiograms and "
        "reports of all training patients: below 1, part of a gain may come from these reports"
        + (f" (see {Arm.STENOSIS_ONLY})." if Arm.STENOSIS_ONLY in config.ablations else ".")
    )


def _aurocs(rows: Sequence[Row]) -> Iterator[str]:
    arms = [arm for arm in Arm if arm not in ABLATIONS or any(arm in row.aurocs for row in rows)]
    yield f"| encoder | stenosis | labels | test patients (cases) | {' | '.join(arms)} |"
    yield "|---|---|---|---|" + "---|" * len(arms)
    for row in rows:
        found = " | ".join(row.aurocs[arm].text() if arm in row.aurocs else "–" for arm in arms)
        yield f"{_start(row)} {row.patients:,} ({row.cases:,}) | {found} |"


def _family(family: Family, rows: Sequence[Row]) -> Iterator[str]:
    found = [(row, each) for row in rows for each in row.differences if each.contrast.family is family]
    if not found:
        return
    tests = sum(each.can_tell for _, each in found)
    yield f"## Family `{family}`: {QUESTIONS[family]}"
    yield ""
    yield "| encoder | stenosis | labels | AUROC of | (95 %) | simultaneous 95 % | seeds | Holm's p | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row, each in found:
        p = "–" if each.adjusted is None else f"{each.adjusted:.3f}"
        yield (
            f"{_start(row)} {each.contrast.label} | {each.estimate.text('+')} "
            f"| {each.simultaneous.text('+')} | {each.seeds} | {p} | {each.verdict} |"
        )
    yield ""
    verdicts = Counter(each.verdict for _, each in found)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    yield f"{tests} tests adjusted together: {counted}."
    yield ""


def _start(row: Row) -> str:
    return f"| {row.encoder} | {endpoint(row.task)} | {row.fraction:.4g} |"


def _left_out(published: Mapping[str, Published]) -> Iterator[str]:
    for name, each in published.items():
        if not each.is_imported:
            yield (
                f"- {name}: the arm `{Arm.PUBLISHED}` is left out, and {Arm.STENCE} started from random "
                f"weights and is compared with `{Arm.SCRATCH}`: {each.missing}."
            )


def _untrained(outcomes: Mapping[Cell, Outcome]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for cell, outcome in outcomes.items():
        if outcome.logits is None:
            reasons.setdefault(outcome.reason, []).append(f"`{cell.label}`")
    for reason, labels in reasons.items():
        yield f"- Not trained: {reason}: {', '.join(labels)}."


_BOUNDS = ("value", "lower", "upper")


def _place(row: Row) -> list[Any]:
    return [row.encoder, row.task.low, row.task.high, row.fraction, row.patients, row.cases]


def _found(each: Difference) -> dict[str, Any]:
    """Return a difference, flat, as columns or as JSON."""
    value, lower, upper = _numbers(each.estimate)
    _, simultaneous_lower, simultaneous_upper = _numbers(each.simultaneous)
    return {
        "family": each.contrast.family,
        "new": each.contrast.new,
        "old": each.contrast.old,
        "seeds": each.seeds,
        "difference": value,
        "lower": lower,
        "upper": upper,
        "simultaneous_lower": simultaneous_lower,
        "simultaneous_upper": simultaneous_upper,
        "p": each.p,
        "tests": each.tests,
        "p_holm": each.adjusted,
        "verdict": each.verdict,
    }


def _numbers(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.lower, estimate.upper


def _csv(columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return file.getvalue()
