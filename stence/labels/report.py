"""Report of a fine-tuning for other labels: complete as JSON, and as Markdown for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import yaml
from pydantic import Field

from stence.domain.thresholds import Threshold
from stence.models.calibration import Calibration
from stence.registry.manifest import Architecture, Code, Part, Preprocessing, TrainingData

NOT_FOR_SCORING = (
    "For research only: this model is not in the registry, and `stence score` does not use it. "
    "All metrics are measured on test patients, with 95 % intervals from a bootstrap over patients."
)
COLUMNS = ("auroc", "auprc", "f1", "sensitivity", "specificity", "brier")
FEW = 30
"""With fewer test ECGs with, or without, a label, its metrics are uncertain."""


class LabelsReport(Part):
    """The content of ``report.json``."""

    format: Literal[1] = 1
    name: str
    version: str
    created_at: datetime
    labels: tuple[str, ...]
    architecture: Architecture
    preprocessing: Preprocessing
    calibration: Calibration
    thresholds: dict[str, Threshold]
    data: TrainingData
    without_patient: int = Field(description="ECGs that name no patient; each counts as a patient.")
    config: dict[str, Any]
    run: dict[str, Any] = Field(description="Start, device, epochs, best epoch, seconds.")
    metrics: dict[str, dict[str, Any]] = Field(description="By label, on the test patients.")
    code: Code
    files: dict[str, str] = Field(description="SHA-256 of each other file.")

    @property
    def folder(self) -> str:
        """The report's folder, below ``task_prefix``."""
        return f"{self.name}/{self.version}/"


def markdown(report: LabelsReport) -> str:
    """Write the report as Markdown for people."""
    sections = (
        f"# {report.name}: {report.version}",
        NOT_FOR_SCORING,
        metrics_table(report),
        _few(report),
        "## Patients and ECGs",
        _splits(report.data),
        _left_out(report),
        "## Training",
        _training(report),
        f"```yaml\n{yaml.safe_dump(report.config, sort_keys=False)}```",
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def metrics_table(report: LabelsReport) -> str:
    """Write the table of metrics, one row per label."""
    head = ("label", "test patients", "ECGs", "cases", "threshold", *COLUMNS)
    rows = [
        (
            name,
            measured["patients"],
            measured["ecgs"],
            measured["cases"],
            f"{report.thresholds[name].value:.3g}",
            *(figure(measured[column]) for column in COLUMNS),
        )
        for name, measured in report.metrics.items()
    ]
    return _table(head, rows)


def figure(measured: Mapping[str, float | None]) -> str:
    """Format a metric with its interval; a dash if it is not defined."""
    if measured["value"] is None:
        return "-"
    value, lower, upper = (f"{measured[part]:.2f}" for part in ("value", "lower", "upper"))
    return f"{value} ({lower} to {upper})"


def _few(report: LabelsReport) -> str:
    few = [
        name
        for name, measured in report.metrics.items()
        if min(measured["cases"], measured["ecgs"] - measured["cases"]) < FEW
    ]
    raw = [name for name, measured in report.metrics.items() if not measured["calibrated"]]
    blind = [name for name, measured in report.metrics.items() if not measured["validation_cases"]]
    lines = []
    if blind:
        lines.append(f"No validation ECG has the label, so no threshold was chosen: {', '.join(blind)}.")
    if few:
        lines.append(f"Fewer than {FEW} test ECGs with or without the label, uncertain: {', '.join(few)}.")
    if raw:
        lines.append(f"Not calibrated, because too few calibration patients: {', '.join(raw)}.")
    return "\n".join(lines)


def _splits(data: TrainingData) -> str:
    rows = [(split, data.patients[split], data.ecgs[split]) for split in data.ecgs]
    return _table(("split", "patients", "ECGs"), rows)


def _left_out(report: LabelsReport) -> str:
    lines = [f"Left out: {reason} {count}." for reason, count in sorted(report.data.left_out.items())]
    if report.without_patient:
        lines.append(
            f"{report.without_patient} ECGs name no patient: each counts as a patient of its own, so a "
            "patient with several ECGs may be in several splits."
        )
    return "\n".join(f"- {line}" for line in lines)


def _training(report: LabelsReport) -> str:
    history = report.run["course"]
    rules = sorted({threshold.rule for threshold in report.thresholds.values()})
    return "\n".join(
        [
            f"- {report.architecture.encoder} from {report.run['encoder_start']}; "
            f"best of {history['epochs']} epochs: {history['best_epoch']}.",
            f"- Mean validation AUROC of this epoch: {history['best_validation_auroc']:.3f}.",
            *(f"- Threshold: {rule}." for rule in rules),
            f"- stence {report.code.stence}, commit {report.code.git_commit or 'unknown'}, "
            f"{report.run['seconds']:g} s on {report.run['device']}.",
        ]
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
