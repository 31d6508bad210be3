"""Pages of flagged ECGs in the store: written once, highest probability first, resumable after a kill.

A page is put before its row. After a kill between both, the next call writes the same page again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from stence.database import queries
from stence.database.outage import transact
from stence.database.tables import ecg_pages, ecgs
from stence.discretion import plain
from stence.errors import DatabaseUnavailableError, StoreUnavailableError
from stence.explain.gathering import ScoredEcg, gather
from stence.explain.layout import ecg_page
from stence.explain.saliency import Explanation, explain
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.preparation.reading import read_again
from stence.progress import Progress, silent
from stence.retry import retry
from stence.settings import Settings
from stence.similar import html, similar_studies

log = logging.getLogger(__name__)

SIMILAR = 5
"""Cath studies of other patients on a page."""
OUTAGES = (DatabaseUnavailableError, StoreUnavailableError)


@dataclass(frozen=True, slots=True)
class PageCounts:
    """Pages that a call wrote, ECGs without a page for an error, and ECGs that wait for the next call.

    ``removed``: pages that named another patient than their ECG has now.
    """

    written: int
    failed: int
    waiting: int
    removed: int

    def table(self) -> list[dict[str, Any]]:
        """Return rows for a table."""
        words = {
            "pages written": self.written,
            "ECGs without a page for an error": self.failed,
            "flagged ECGs that wait for a page": self.waiting,
            "pages removed, of another patient": self.removed,
        }
        return [{"what": what, "count": count} for what, count in words.items()]


class EcgPage(NamedTuple):
    """The page of a scored ECG as HTML, with what it shows."""

    ecg: ScoredEcg
    explanation: Explanation
    content: bytes


def explain_ecg(
    engine: Engine, store: ObjectStore, settings: Settings, scorer: RiskScorer, ecg_id: int
) -> EcgPage:
    """Make the page of an ECG that ``scorer`` has scored.

    Raises StenceError without such a score, UnusableEcgError and StenceError if the file has changed since,
    and StoreUnavailableError and DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    ecg = transact(engine, settings.outage_seconds, gather, ecg_id, scorer, settings.timezone)
    recording = read_again(store, settings, ecg.key, ecg.content_hash, ecg.fingerprint)
    explanation = explain(scorer, recording, seed=int.from_bytes(ecg.content_hash[:8]))
    ask = partial(similar_studies, count=SIMILAR, leave_out_patient=ecg.patient_id)
    found = transact(engine, settings.outage_seconds, ask, scorer, scorer.prepare(recording))
    written_at = datetime.now(ZoneInfo(settings.timezone))
    page = ecg_page(ecg, recording, explanation, written_at, html(found))
    return EcgPage(ecg, explanation, page.encode())


def write_pages(
    engine: Engine, store: ObjectStore, settings: Settings, scorer: RiskScorer, progress: Progress = silent
) -> PageCounts:
    """Write up to ``settings.pages_per_run`` pages of ECGs with an open flag of ``scorer`` and no page.

    An ECG that cannot be read costs its own page only. Raises StoreUnavailableError and
    DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    removed = _remove_misnamed(engine, store, settings)
    kept_from = settings.retention.oldest("pages", datetime.now(UTC))
    waiting = transact(engine, settings.outage_seconds, _unwritten, scorer, kept_from)
    written = failed = 0
    for ecg_id in waiting:
        if written == settings.pages_per_run:
            break
        if _write(engine, store, settings, scorer, ecg_id):
            written += 1
        else:
            failed += 1
        progress("pages", written, min(len(waiting), settings.pages_per_run))
    return PageCounts(written, failed, len(waiting) - written - failed, removed)


def page_key(settings: Settings, model_version: str, ecg_id: int) -> str:
    """Return the key of a page, which names no patient."""
    return f"{settings.page_prefix}{model_version}/{ecg_id}.html"


def _write(engine: Engine, store: ObjectStore, settings: Settings, scorer: RiskScorer, ecg_id: int) -> bool:
    """Write one page and its row. Return False if the ECG has no page for an error of its own."""
    try:
        made = explain_ecg(engine, store, settings, scorer, ecg_id)
    except OUTAGES:
        raise
    except Exception as error:  # one odd ECG must not cost the others their pages
        log.warning(
            "ECG %d has no page (%s); stence explain %d says why", ecg_id, plain(type(error).__name__), ecg_id
        )
        return False
    key = page_key(settings, scorer.model_version, ecg_id)
    retry(partial(store.put, key, made.content), settings.outage_seconds, StoreUnavailableError)
    if transact(engine, settings.outage_seconds, _record, made, key):
        return True
    retry(partial(store.delete, key), settings.outage_seconds, StoreUnavailableError)
    return False


def _unwritten(connection: Connection, scorer: RiskScorer, kept_from: datetime | None) -> list[int]:
    about = {"model_version": scorer.model_version, "target": scorer.decisive, "kept_from": kept_from}
    return list(connection.scalars(queries.statement("unwritten_pages"), about))


def _record(connection: Connection, made: EcgPage, key: str) -> bool:
    """Write the row of a page. Return False if the ECG was removed meanwhile, with its patient or by age."""
    connection.execute(queries.statement("opt_outs_hold"))
    there = select(ecgs.c.id).filter_by(content_hash=made.ecg.content_hash)
    if connection.scalar(there.with_for_update(read=True, key_share=True)) is None:
        return False
    deletion = made.explanation.deletion
    row = {
        "content_hash": made.ecg.content_hash,
        "model_version": made.ecg.model_version,
        "object_key": key,
        "patient_id": made.ecg.patient_id,
        "marked_drop": deletion.marked if deletion else None,
        "random_drops": list(deletion.random) if deletion else None,
    }
    connection.execute(insert(ecg_pages).values(row).on_conflict_do_nothing())
    return True


def _remove_misnamed(engine: Engine, store: ObjectStore, settings: Settings) -> int:
    """Remove pages whose ECG is another patient's by now. The row goes last: a kill leaves no page behind."""

    def find(connection: Connection) -> list[tuple[bytes, str, str]]:
        return [tuple(row) for row in connection.execute(queries.statement("misnamed_pages"))]

    def forget(connection: Connection, content_hash: bytes, model_version: str) -> None:
        connection.execute(
            delete(ecg_pages).filter_by(content_hash=content_hash, model_version=model_version)
        )

    found = transact(engine, settings.outage_seconds, find)
    for content_hash, model_version, key in found:
        retry(partial(store.delete, key), settings.outage_seconds, StoreUnavailableError)
        transact(engine, settings.outage_seconds, forget, content_hash, model_version)
    return len(found)
