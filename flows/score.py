"""Score every ECG the champion model has not scored yet: index, then batch after batch until none is left.

After it, models in shadow score the same ECGs without raising flags. Their failures are their own.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.discretion import library_logs
from flows.ingest import index
from flows.workplace import Workplace, dated, open_workplace, step, unseen
from stence import registry, scoring
from stence.database.outage import retry_outages
from stence.errors import StenceError


@step("load-model")
def load_champion(place: Workplace) -> registry.RiskScorer:
    """The champion as it is now; the run keeps this version to its end."""
    return registry.load_champion(place.engine, place.store, place.settings)


@step("promote-due")
def promote_due(place: Workplace) -> str | None:
    """Make the newest shadow whose days are over the champion; its version, where there is one."""

    def action() -> str | None:
        with place.engine.begin() as connection:
            return registry.promote_due(connection, place.settings.shadow_days)

    return retry_outages(action, place.settings.outage_seconds)


@step("list-shadows")
def list_shadows(place: Workplace) -> list[registry.Registered]:
    """The models in shadow."""

    def action() -> list[registry.Registered]:
        with place.engine.connect() as connection:
            return registry.shadows(connection)

    return retry_outages(action, place.settings.outage_seconds)


@step("load-shadow", "load-shadow-{shadow.version}")
def load_shadow(place: Workplace, shadow: registry.Registered) -> registry.RiskScorer:
    """A model in shadow."""
    return registry.load(shadow, place.store, place.settings)


@step("score-batch", "score-batch-{number}")
def score_batch(place: Workplace, run: scoring.Run, number: int) -> int:
    """Claim and score up to ``shard_size`` ECGs; how many were brought to an end."""
    return run.score(limit=place.settings.shard_size)


@flow(name="score", flow_run_name=dated("score"), persist_result=False)
def score() -> dict[str, Any]:
    """Index, then score until nothing is pending, with the champion and then the shadows; its counts."""
    with library_logs(), open_workplace() as place:
        shared = unseen(place)
        index(shared)
        if place.settings.auto_promote and (version := promote_due(shared)):
            get_run_logger().warning("%s served its days in shadow and is champion now", version)
        summary = score_all(place, load_champion(shared))
        publish(summary, "score")
        for shadow in list_shadows(shared):
            score_in_shadow(place, shadow)
    return summary.counts()


def score_all(place: Workplace, scorer: registry.RiskScorer) -> scoring.RunSummary:
    """One model's run, to its end."""
    with scoring.open_run(place.engine, place.store, place.settings, scorer) as run:
        number = 1
        while score_batch(unseen(place), unseen(run), number):
            number += 1
    return run.summary()


def score_in_shadow(place: Workplace, shadow: registry.Registered) -> None:
    """One shadow's run. A failure is told, and stops neither what the champion did nor the next shadow."""
    try:
        summary = score_all(place, load_shadow(unseen(place), shadow))
    except Exception as error:
        said = f": {error}" if isinstance(error, StenceError) else ""
        get_run_logger().error("shadow %s failed, %s%s", shadow.version, type(error).__name__, said)
    else:
        publish(summary, "shadow")


def publish(summary: scoring.RunSummary, kind: str) -> None:
    """Leave the run's counts, and only counts, in Prefect."""
    get_run_logger().info("%s: %s", kind, summary.text())
    create_table_artifact(key=f"{kind}-counts", table=summary.table(), description="ECGs by where they ended")
    create_markdown_artifact(
        key=f"{kind}-run", markdown=summary.markdown(), description=f"The last {kind} run"
    )
