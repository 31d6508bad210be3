"""Score every ECG the champion model has not scored yet: index, then batch after batch until none is left."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.ingest import index
from flows.workplace import TASK_OPTIONS, Workplace, dated, library_logs, open_workplace, unseen
from stence import registry, scoring


@task(name="load-model", task_run_name="load-model", **TASK_OPTIONS)
def load_champion(place: Workplace) -> registry.RiskScorer:
    """The champion as it is now; the run keeps this version to its end."""
    return registry.load_champion(place.engine, place.store, place.settings)


@task(name="score-batch", task_run_name="score-batch-{number}", **TASK_OPTIONS)
def score_batch(place: Workplace, run: scoring.Run, number: int) -> int:
    """Claim and score up to ``shard_size`` ECGs; how many were brought to an end."""
    return run.score(limit=place.settings.shard_size)


@flow(name="score", flow_run_name=dated("score"), persist_result=False)
def score() -> dict[str, Any]:
    """Index, then score until nothing is pending; the counts of the run."""
    with library_logs(), open_workplace() as place:
        shared = unseen(place)
        index(shared)
        scorer = load_champion(shared)
        with scoring.open_run(place.engine, place.store, place.settings, scorer) as run:
            number = 1
            while score_batch(shared, unseen(run), number):
                number += 1
        summary = run.summary()
    publish(summary)
    return summary.counts()


def publish(summary: scoring.RunSummary) -> None:
    """Leave the run's counts, and only counts, in Prefect."""
    get_run_logger().info(summary.text())
    create_table_artifact(key="score-counts", table=summary.table(), description="ECGs by where they ended")
    create_markdown_artifact(key="score-run", markdown=summary.markdown(), description="The last score run")
