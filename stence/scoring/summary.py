"""What a run did, in numbers only: for its log, its Prefect artifacts, and ``monitoring_metrics``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Where the ECGs of the model's worklist were when the run ended, and how fast it went."""

    run_id: uuid.UUID
    model_version: str
    indexed: int
    scored: int
    quarantined: int
    pending: int
    scored_by_run: int
    quarantined_by_run: int
    refusals: Mapping[str, int]
    flagged: Mapping[str, int]
    seconds: float
    seconds_by_stage: Mapping[str, float]

    @property
    def ecgs_per_second(self) -> float:
        """ECGs that this run brought to an end, a second."""
        return (self.scored_by_run + self.quarantined_by_run) / max(self.seconds, 1e-9)

    def counts(self) -> dict[str, int]:
        """The four counts of the worklist: ``indexed = scored + quarantined + pending``."""
        return {
            "indexed": self.indexed,
            "scored": self.scored,
            "quarantined": self.quarantined,
            "pending": self.pending,
        }

    def text(self) -> str:
        """One line for a log."""
        return (
            f"indexed {self.indexed} = scored {self.scored} + quarantined {self.quarantined} + "
            f"pending {self.pending}; this run scored {self.scored_by_run}, quarantined "
            f"{self.quarantined_by_run} in {self.seconds:.1f} s ({self.ecgs_per_second:.0f} ECGs/s)"
        )

    def table(self) -> list[dict[str, Any]]:
        """Rows for a table: the counts, this run's share, refusals by reason, flags by target."""
        by_run = {
            "scored by this run": self.scored_by_run,
            "quarantined by this run": self.quarantined_by_run,
        }
        refusals = {f"refused: {reason}": count for reason, count in self.refusals.items()}
        flagged = {f"flagged: {target}": count for target, count in self.flagged.items()}
        return [{"what": k, "ECGs": v} for k, v in (self.counts() | by_run | refusals | flagged).items()]

    def markdown(self) -> str:
        """A short report."""
        stages = "".join(f"| {stage} | {s:.1f} |\n" for stage, s in self.seconds_by_stage.items())
        return (
            f"Model **{self.model_version}**, run `{self.run_id}`\n\n{self.text()}\n\n"
            f"| stage (they overlap) | seconds |\n|---|---|\n{stages}"
        )

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Rows of ``monitoring_metrics``, without run, model and time."""
        for name, count in self.counts().items():
            yield _metric(f"ecgs_{name}", count)
        yield _metric("ecgs_scored_by_run", self.scored_by_run)
        yield _metric("ecgs_quarantined_by_run", self.quarantined_by_run)
        yield _metric("run_seconds", self.seconds)
        yield _metric("ecgs_per_second", self.ecgs_per_second)
        for stage, seconds in self.seconds_by_stage.items():
            yield _metric("stage_seconds", seconds, "stage", stage)
        for reason, count in self.refusals.items():
            yield _metric("ecgs_refused", count, "reason", reason)
        for target, count in self.flagged.items():
            yield _metric("ecgs_flagged", count, "target", target)


def _metric(name: str, value: float, key: str | None = None, of: str | None = None) -> dict[str, Any]:
    return {"name": name, "value": float(value), "slice_key": key, "slice_value": of}
