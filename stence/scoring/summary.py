"""Summary of a scoring run in numbers, for its log, Prefect artifacts, and ``monitoring_metrics``."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class RunSummary:
    """States of the worklist's ECGs at the end of a run, and the run's speed.

    >>> ids = {"run_ids": (uuid.UUID(int=1),), "model_version": "v1", "form": "fp32"}
    >>> worklist = {"indexed": 5, "scored": 3, "quarantined": 1, "pending": 1}
    >>> by_run = {"scored_by_run": 3, "quarantined_by_run": 1, "seconds": 2.0, "seconds_by_stage": {}}
    >>> RunSummary(**ids, **worklist, **by_run, refusals={"too_short": 1}, flagged={}).ecgs_per_second
    2.0
    """

    run_ids: tuple[uuid.UUID, ...]
    model_version: str
    form: str
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
        """ECGs per second that this run finished."""
        return (self.scored_by_run + self.quarantined_by_run) / max(self.seconds, 1e-9)

    def counts(self) -> dict[str, int]:
        """Return the four counts of the worklist: ``indexed = scored + quarantined + pending``."""
        return {
            "indexed": self.indexed,
            "scored": self.scored,
            "quarantined": self.quarantined,
            "pending": self.pending,
        }

    def text(self) -> str:
        """Return a line for the log."""
        return (
            f"indexed {self.indexed} = scored {self.scored} + quarantined {self.quarantined} + "
            f"pending {self.pending}; this run scored {self.scored_by_run}, quarantined "
            f"{self.quarantined_by_run} in {self.seconds:.1f} s ({self.ecgs_per_second:.0f} ECGs/s)"
        )

    def table(self) -> list[dict[str, Any]]:
        """Return rows for a table: the counts, the run's own counts, refusals by reason, flags by target."""
        by_run = {
            "scored by this run": self.scored_by_run,
            "quarantined by this run": self.quarantined_by_run,
        }
        refusals = {f"refused: {reason}": count for reason, count in self.refusals.items()}
        flagged = {f"flagged: {target}": count for target, count in self.flagged.items()}
        return [{"what": k, "ECGs": v} for k, v in (self.counts() | by_run | refusals | flagged).items()]

    def markdown(self) -> str:
        """Return a short report."""
        stages = "".join(f"| {stage} | {s:.1f} |\n" for stage, s in self.seconds_by_stage.items())
        ids = ", ".join(f"`{each}`" for each in self.run_ids)
        return (
            f"Model **{self.model_version}** in {self.form}, run {ids}\n\n{self.text()}\n\n"
            f"| stage (they overlap) | seconds |\n|---|---|\n{stages}"
        )

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield rows of ``monitoring_metrics``, without run, model and time."""
        for name, count in self.counts().items():
            yield _metric(f"ecgs_{name}", count)
        yield _metric("ecgs_scored_by_run", self.scored_by_run)
        yield _metric("ecgs_scored_in_form", self.scored_by_run, "form", self.form)
        yield _metric("ecgs_quarantined_by_run", self.quarantined_by_run)
        yield _metric("run_seconds", self.seconds)
        yield _metric("ecgs_per_second", self.ecgs_per_second)
        for stage, seconds in self.seconds_by_stage.items():
            yield _metric("stage_seconds", seconds, "stage", stage)
        for reason, count in self.refusals.items():
            yield _metric("ecgs_refused", count, "reason", reason)
        for target, count in self.flagged.items():
            yield _metric("ecgs_flagged", count, "target", target)


def together(summaries: Sequence[RunSummary]) -> RunSummary:
    """Return one summary of runs that shared a worklist at the same time, in the order of their ends."""
    return replace(
        summaries[-1],
        run_ids=tuple(each for summary in summaries for each in summary.run_ids),
        scored_by_run=sum(summary.scored_by_run for summary in summaries),
        quarantined_by_run=sum(summary.quarantined_by_run for summary in summaries),
        refusals=_sums(summary.refusals for summary in summaries),
        flagged=_sums(summary.flagged for summary in summaries),
        seconds=max(summary.seconds for summary in summaries),
        seconds_by_stage=_sums(summary.seconds_by_stage for summary in summaries),
    )


def _sums(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add numbers by name, names in order."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def _metric(name: str, value: float, key: str | None = None, of: str | None = None) -> dict[str, Any]:
    return {"name": name, "value": float(value), "slice_key": key, "slice_value": of}
