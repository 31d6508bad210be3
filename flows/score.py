"""The flow ``score``: score ECGs without a score of the champion: index, then score in batches.

Flagged ECGs then get their pages. Models in shadow score the same ECGs without raising flags. A failure of
pages or of a shadow affects nothing else.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import PositiveInt

from stence import explain, registry, scoring
from stence.database.outage import retry_outages
from stence.errors import ConfigurationError, StenceError
from stence.flows import news
from stence.flows.discretion import library_logs
from stence.flows.export import export_if_wanted
from stence.flows.ingest import index
from stence.flows.workplace import Workplace, dated, open_workplace, step, unseen
from stence.training import promotion
from stence.training.promotion import Attempt


@step("load-model")
def load_champion(place: Workplace) -> registry.RiskScorer:
    """The current champion. The run keeps this version to its end."""
    champion = registry.load_champion(place.engine, place.store, place.settings)
    return registry.in_chosen_form(place.engine, place.settings, champion)


@step("promote-due")
def promote_due(place: Workplace) -> list[Attempt]:
    """Promote the newest better shadow whose days are over and whose evidence passes; return all attempts.

    A login that may not promote leaves the shadows to people, and the run goes on.
    """

    def action() -> list[Attempt]:
        with place.engine.begin() as connection:
            return promotion.promote_due(connection, place.settings.shadow_days)

    try:
        return retry_outages(action, place.settings.outage_seconds)
    except ConfigurationError as error:
        get_run_logger().warning("STENCE_AUTO_PROMOTE has no effect. %s", error)
        return []


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
    scorer = registry.load(shadow, place.store, place.settings)
    return registry.in_chosen_form(place.engine, place.settings, scorer)


@step("score-batch", "score-batch-{number}")
def score_batch(place: Workplace, run: scoring.Run, number: int) -> int:
    """Claim and score up to ``shard_size`` ECGs; return the number of finished ECGs."""
    return run.score(limit=place.settings.shard_size)


@step("score-with-workers", "score-with-{workload.workers}-workers")
def score_with_workers(place: Workplace, version: str, workload: scoring.Workload) -> scoring.RunSummary:
    """Score with several processes on this host."""
    return scoring.score_with_workers(place.settings, version, workload)


@step("write-pages")
def write_pages(place: Workplace, scorer: registry.RiskScorer) -> explain.PageCounts:
    """Write pages of flagged ECGs, up to ``pages_per_run``."""
    return explain.write_pages(place.engine, place.store, place.settings, scorer)


@step("write-ward-list")
def write_ward_list(place: Workplace) -> explain.WardList:
    """Write the list of patients to review, which links to the pages."""
    return explain.write_ward_list(place.engine, place.store, place.settings)


@flow(name="score", flow_run_name=dated("score"), persist_result=False)
def score(portion: scoring.Portion = "all", workers: PositiveInt = 1) -> dict[str, Any]:
    """Index, then score until nothing of the portion is pending: the champion, then the shadows.

    ``new`` leaves the archive to the flow of this name. ``workers`` are the processes on this host. New flags
    are exported before the shadows score, where the settings ask for it. Return the counts of the champion's
    worklist.
    """
    workload = scoring.Workload(portion, workers=workers)
    with library_logs(), open_workplace() as place:
        shared = unseen(place)
        index(shared)
        if place.settings.auto_promote:
            tell(promote_due(shared))
        champion = load_champion(shared)
        summary = score_all(place, champion, workload)
        publish(summary, "score")
        news.tell_flags(summary)
        export_if_wanted(place)
        explain_flags(place, champion)
        for shadow in list_shadows(shared):
            score_in_shadow(place, shadow, workload)
    return summary.counts()


def tell(attempts: list[Attempt]) -> None:
    """Log which shadow was promoted, and why others were not."""
    for attempt in attempts:
        if attempt.promoted:
            get_run_logger().warning("%s completed its days in shadow and is champion now", attempt.version)
            news.tell_model("promoted", attempt.version)
        else:
            said = attempt.evidence.text("shadow")
            get_run_logger().warning("%s is not promoted, a person decides: %s", attempt.version, said)


def score_all(
    place: Workplace, scorer: registry.RiskScorer, workload: scoring.Workload
) -> scoring.RunSummary:
    """Run one model until no ECG of the workload is left, or its time is over."""
    if workload.workers > 1:
        return score_with_workers(unseen(place), scorer.model_version, workload)
    with scoring.open_run(place.engine, place.store, place.settings, scorer, workload.portion) as run:
        number = 1
        while not workload.is_over() and score_batch(unseen(place), unseen(run), number):
            number += 1
    return run.summary()


def explain_flags(place: Workplace, champion: registry.RiskScorer) -> None:
    """Write pages and the daily list; show counts and the list's address in Prefect. A failure is logged."""
    if place.settings.pages_per_run == 0:
        return
    try:
        counts = write_pages(unseen(place), unseen(champion))
        written = write_ward_list(unseen(place))
    except Exception as error:
        said = f": {error}" if isinstance(error, StenceError) else ""
        get_run_logger().error("pages of flagged ECGs failed, %s%s", type(error).__name__, said)
    else:
        link = f"{place.store.url}/{written.latest}"
        markdown = "".join(f"- {row['what']}: {row['count']}\n" for row in counts.table())
        create_markdown_artifact(
            key="score-pages",
            markdown=f"{markdown}\n[Patients to review]({link}), in the store as `{link}`",
            description="Pages of flagged ECGs",
        )


def score_in_shadow(place: Workplace, shadow: registry.Registered, workload: scoring.Workload) -> None:
    """Run one shadow. A failure is logged. It affects neither the champion's results nor the next shadow."""
    try:
        summary = score_all(place, load_shadow(unseen(place), shadow), workload)
    except Exception as error:
        said = f": {error}" if isinstance(error, StenceError) else ""
        get_run_logger().error("shadow %s failed, %s%s", shadow.version, type(error).__name__, said)
    else:
        publish(summary, "shadow")


def publish(summary: scoring.RunSummary, kind: str) -> None:
    """Show the run's counts in Prefect, and nothing else."""
    get_run_logger().info("%s: %s", kind, summary.text())
    create_table_artifact(key=f"{kind}-counts", table=summary.table(), description="ECGs by final state")
    create_markdown_artifact(
        key=f"{kind}-run", markdown=summary.markdown(), description=f"The last {kind} run"
    )
