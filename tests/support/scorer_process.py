"""A scorer in a process of its own, to be killed: ``python -m support.scorer_process SECONDS_PER_BATCH``."""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

from stence import database, scoring
from stence.objects import open_store
from stence.settings import Settings
from support.models import ShapeScorer


class SlowScorer(ShapeScorer):
    """Takes its time over every batch, as a large network would."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """As ShapeScorer, later."""
        time.sleep(self._seconds)
        return super().score(ecgs)


def main() -> None:
    """Score what is pending, and say when that begins."""
    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with (
        database.connect(settings) as engine,
        scoring.open_run(engine, store, settings, SlowScorer(float(sys.argv[1]))) as run,
    ):
        print("scoring", flush=True)
        while run.score(limit=settings.shard_size):
            pass


if __name__ == "__main__":
    main()
