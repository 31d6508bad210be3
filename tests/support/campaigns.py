"""Scores mutated files of all formats the way a run does, and counts what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine, literal, select

from stence import scoring
from stence.database.tables import objects, quarantine, scores
from stence.settings import Settings
from support.database import forget_ecgs, tampering
from support.models import ShapeScorer, register
from support.mutated_store import MutatedStore
from support.preparing import preparing_children
from support.samples import samples

ROUND = 5000
LIMIT_SECONDS = 10.0
"""Longest time that a file may take; one that takes longer ends as ``decoder_died``."""


@dataclass
class Outcomes:
    """Mutated files by format and outcome, files without any, and the largest preparing process in MiB."""

    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    unaccounted: int = 0
    largest_mib: float = 0.0

    def table(self) -> str:
        """Return the table: a row for each outcome, a column for each format."""
        formats = sorted({form for form, _ in self.counted})
        totals: Counter[str] = Counter()
        for (_, outcome), count in self.counted.items():
            totals[outcome] += count
        lines = [f"{'outcome':26}" + "".join(f"{form[:10]:>11}" for form in [*formats, "all"])]
        for outcome, total in totals.most_common():
            cells = [*(self.counted[form, outcome] for form in formats), total]
            lines.append(f"{outcome:26}" + "".join(f"{cell:11}" for cell in cells))
        return "\n".join(lines)


def score_mutated(engine: Engine, settings: Settings, files: int) -> Outcomes:
    """Score ``files`` mutated files in rounds of at most ``ROUND``, with a database emptied after each."""
    outcomes = Outcomes()
    for first in range(0, files, ROUND):
        store = MutatedStore(Path(settings.data_dir, "store"))
        store.first, store.count = first, min(ROUND, files - first)
        _score(engine, store, settings, outcomes)
        with tampering(engine) as connection:
            forget_ecgs(connection, with_files=True)
    return outcomes


def _score(engine: Engine, store: MutatedStore, settings: Settings, outcomes: Outcomes) -> None:
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, ShapeScorer()) as run:
        while run.score():
            pass
        outcomes.largest_mib = max(
            outcomes.largest_mib, *map(_peak_mib, preparing_children(psutil.Process()))
        )
    refused = select(objects.c.key, quarantine.c.reason).join(quarantine).where(quarantine.c.state == "open")
    scored = select(objects.c.key, literal("scored")).join(
        scores, scores.c.content_hash == objects.c.content_hash
    )
    with engine.connect() as connection:
        ended = [*connection.execute(refused), *connection.execute(scored)]
        keys = set(connection.scalars(select(objects.c.key)))
    outcomes.unaccounted += (
        len(keys - {key for key, _ in ended}) + len(ended) - len({key for key, _ in ended})
    )
    names = [sample.format for sample in samples()]
    for key, outcome in ended:
        outcomes.counted[names[int(key.split("/")[1].partition("-")[0]) % len(names)], outcome] += 1


def _peak_mib(child: psutil.Process) -> float:
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
