"""The cath studies most similar to an ECG that stence has read, by its number."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, Engine, Row

from stence.database import queries
from stence.database.outage import transact
from stence.errors import StenceError
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.preparation.reading import read_again
from stence.settings import Settings
from stence.similar.studies import SimilarStudies, similar_studies


def similar_to_ecg(
    engine: Engine, store: ObjectStore, settings: Settings, scorer: RiskScorer, ecg_id: int, count: int
) -> SimilarStudies:
    """Read ECG ``ecg_id`` from the store, and find the ``count`` training studies nearest to it.

    Raises StenceError if there is no such ECG or its file holds another by now, UnusableEcgError if it cannot
    be read any more.
    """
    ecg = transact(engine, settings.outage_seconds, _find, ecg_id)
    recording = read_again(store, settings, ecg.key, ecg.content_hash, ecg.fingerprint)
    ask = partial(similar_studies, count=count, leave_out_patient=ecg.patient_id)
    return transact(engine, settings.outage_seconds, ask, scorer, scorer.prepare(recording))


def _find(connection: Connection, ecg_id: int) -> Row[tuple[str, bytes, str, list[int] | None]]:
    found = connection.execute(queries.statement("similar_ecg"), {"ecg_id": ecg_id}).one_or_none()
    if found is None:
        raise StenceError(f"There is no ECG {ecg_id}: stence query flagged_patients shows the numbers.")
    return found
