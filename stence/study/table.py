"""Tables of a study: Markdown for people, CSV for machines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from stence.cohort import Split
from stence.fitting.tasks import BinaryTask
from stence.study.cells import Cell, Outcome
from stence.study.config import Arm, StudyConfig
from stence.study.data import Data
from stence.study.published import Published
from stence.study.statistics import Estimate, Row

SPLITS = {Split.TRAIN: "training", Split.VALIDATION: "validation", Split.TEST: "test"}


def to_csv(rows: Sequence[Row]) -> str:
    """Write the CSV, one line per row; a metric that is not defined is empty."""
    figures = [*Arm, "difference"]
    bounds = [f"{name}{suffix}" for name in figures for suffix in ("", "_lower", "_upper")]
    about = ["encoder", "no_up_to", "yes_from", "label_fraction", "test_patients", "test_cases", "seeds"]
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*about, *(bound.lower() for bound in bounds), "verdict"])
    for row in rows:
        task = row.task
        start = [row.encoder, task.low, task.high, row.fraction, row.patients, row.cases, row.seeds]
        estimates = [*(row.aurocs.get(arm) for arm in Arm), row.difference]
        writer.writerow([*start, *(number for each in estimates for number in _numbers(each)), row.verdict])
    return file.getvalue()


def to_markdown(
    config: StudyConfig,
    data: Data,
    published: Mapping[str, Published],
    outcomes: Mapping[Cell, Outcome],
    rows: Sequence[Row],
) -> str:
    """Write the report: the design, the table, and missing trainings with their reasons."""
    lines = [f"# Study {config.name}", "", *_about(config, data), "", *_table(rows), ""]
    lines += _summary(rows)
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
        "The endpoint is the worst segment of the cath report. The metric is the AUROC on the test ECGs, "
        "averaged over seeds. The 95 % intervals come from a bootstrap over seeds and patients; differences "
        "are paired by seed and patient. Few seeds underestimate the variation between seeds."
    )
    yield ""
    yield (
        "`labels` is the share of training patients whose reports fine-tuning uses. "
        f"{Arm.STENCE}'s pretraining, done once per seed for all endpoints and shares, uses angiograms and "
        "reports of all training patients: below 1, part of a gain may come from these reports."
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield (
        f"| encoder | stenosis | labels | test patients (cases) | {' | '.join(Arm)} "
        f"| {Arm.STENCE} - {Arm.SCRATCH} | |"
    )
    yield "|---|---|---|---|" + "---|" * (len(Arm) + 2)
    for row in rows:
        arms = " | ".join(row.aurocs[arm].text() if arm in row.aurocs else "–" for arm in Arm)
        yield (
            f"| {row.encoder} | {endpoint(row.task)} | {row.fraction:.4g} | {row.patients:,} ({row.cases:,}) "
            f"| {arms} | {row.difference.text('+')} | {row.verdict} |"
        )


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    found = Counter(row.verdict for row in rows)
    yield (
        f"- Of {len(rows)} rows {found['gain']} show a gain, {found['loss']} a loss, "
        f"{found['no gain shown']} neither, {found['not known']} are not known. The intervals are not "
        "corrected for multiple tests: without any effect, about one row in forty shows a gain by chance."
    )


def _left_out(published: Mapping[str, Published]) -> Iterator[str]:
    for name, each in published.items():
        if not each.is_imported:
            yield (
                f"- {name}: the arm `{Arm.PUBLISHED}` is left out, and {Arm.STENCE} started from random "
                f"weights: {each.missing}."
            )


def _untrained(outcomes: Mapping[Cell, Outcome]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for cell, outcome in outcomes.items():
        if outcome.logits is None:
            reasons.setdefault(outcome.reason, []).append(f"`{cell.label}`")
    for reason, labels in reasons.items():
        yield f"- Not trained: {reason}: {', '.join(labels)}."


def _numbers(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (estimate.value, estimate.lower, estimate.upper) if estimate else (None, None, None)
