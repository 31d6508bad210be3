"""List the object store and record which ECGs are new or changed."""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.workplace import TASK_OPTIONS, Workplace, dated, library_logs, open_workplace, unseen
from stence import scoring


@task(name="index", task_run_name="index", **TASK_OPTIONS)
def index(place: Workplace) -> scoring.IndexSummary:
    """Record new and changed ECGs and the manifests that name their patients."""
    return scoring.index(place.engine, place.store, place.settings)


@flow(name="ingest", flow_run_name=dated("ingest"), persist_result=False)
def ingest() -> dict[str, Any]:
    """Index the object store once; the ECGs then wait for the next score run."""
    with library_logs(), open_workplace() as place:
        summary = index(unseen(place)).as_dict()
    create_table_artifact(key="ingest-counts", table=[{"what": k, "count": v} for k, v in summary.items()])
    return summary
