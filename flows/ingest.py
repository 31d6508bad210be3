"""The flow ``ingest``: record new and changed ECGs, cath reports and angiograms of the object store."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from stence import cohort, scoring
from stence.angiography import indexing
from stence.flows.alerts import check_runs, progress
from stence.flows.discretion import library_logs
from stence.flows.workplace import Workplace, dated, open_workplace, step, unseen


@step("index")
def index(place: Workplace) -> scoring.IndexSummary:
    """Record new and changed ECGs, and the manifests that name their patients."""
    return scoring.index(place.engine, place.store, place.settings)


@step("index-cath-lab")
def index_cath_lab(place: Workplace) -> dict[str, int]:
    """Record the cath reports, then new and changed angiograms, each with its report."""
    reports = cohort.index_reports(place.engine, place.store, place.settings)
    angiograms = indexing.index_angiograms(place.engine, place.store, place.settings)
    return {
        **{f"reports_{name}": count for name, count in reports.as_dict().items()},
        **{f"angiograms_{name}": count for name, count in angiograms.as_dict().items()},
    }


@flow(name="ingest", flow_run_name=dated("ingest"), persist_result=False)
def ingest() -> dict[str, Any]:
    """Index the object store once. New ECGs wait for the next score run, angiograms for the next retraining.

    The flow first checks that score runs still come, because missing runs cannot report themselves.
    """
    with library_logs(), open_workplace() as place:
        progress(check_runs(unseen(place)))
        summary = index(unseen(place)).as_dict() | index_cath_lab(unseen(place))
    create_table_artifact(key="ingest-counts", table=[{"what": k, "count": v} for k, v in summary.items()])
    return summary
