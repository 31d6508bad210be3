"""Forget a patient: tell receivers of exports, remove files and caches, and then all rows in one transaction.

A killed or failed call is repeated: what it had removed is gone, and the rows that name the rest are still
there. From the first step on the patient is on the opt-out list, so that nothing comes back meanwhile.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.identity import settle_key
from stence.database.outage import transact
from stence.errors import ForgettingError
from stence.export import SENDERS, receiver_of
from stence.forgetting import caches, opting_out, traces
from stence.forgetting.files import Files
from stence.forgetting.traces import Learned, Traces
from stence.ingest.patients import load_opt_outs
from stence.objects import ObjectStore
from stence.settings import Settings


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is forgotten of a patient, or would be: ``rows`` and ``files`` by kind.

    ``receivers`` are those of exported flags, with the number of flags. ``untold`` are receivers that the
    settings do not name any more, or that refused the message. ``kept_files`` tell receivers that flags are
    void. ``models`` may have learned from the patient.
    """

    rows: Mapping[str, int]
    files: Mapping[str, int]
    receivers: Mapping[str, int]
    models: Sequence[Learned]
    untold: Sequence[str] = ()
    kept_files: Sequence[str] = ()


def try_forgetting(engine: Engine, settings: Settings, number: str) -> Forgotten:
    """Return what ``forget`` would remove: its transaction is carried out and taken back.

    Raises ForgettingError if it is not a patient number.
    """
    with engine.connect() as connection, connection.begin() as transaction:
        patients = opting_out.pseudonyms_of(connection, settle_key(connection, settings), number)
        found = traces.find(connection, settings, patients)
        rows = _forget_rows(connection, patients, found, by="stence", why="dry run")
        transaction.rollback()
    folders = caches.holding(settings, found.hashes, found.angiograms)
    files = {"pages": len(found.pages), "angiograms with features": len(found.feature_folders)}
    return Forgotten(rows, files | {"working folders": len(folders)}, _counts(found), found.models)


def forget(
    engine: Engine, store: ObjectStore, settings: Settings, number: str, *, by: str, why: str
) -> Forgotten:
    """Forget a patient by any of the patient's numbers. The hospital's files stay, and are not read again.

    Raises ForgettingError if it is not a patient number, or if a training works with the patient's ECGs;
    ReceiverUnavailableError, StoreUnavailableError or DatabaseUnavailableError after an outage. Then repeat
    the call.
    """
    seconds = settings.outage_seconds
    patients, found = transact(engine, seconds, _begin, settings, number, by)
    folders = _remove_caches(settings, found)
    untold = _tell_receivers(engine, store, settings, found)
    told = transact(engine, seconds, traces.find, settings, patients)
    files = Files(store, settings)
    kept = files.take_out_of_exports(told.messages)
    removed = files.remove(found, patients)
    rows = transact(engine, seconds, _forget_rows, patients, found, by=by, why=why)
    counts = {"files in the store": removed, "working folders": folders}
    return Forgotten(rows, counts, _counts(found), found.models, untold, kept)


def _begin(connection: Connection, settings: Settings, number: str, by: str) -> tuple[list[str], Traces]:
    patients = opting_out.pseudonyms_of(connection, settle_key(connection, settings), number)
    opting_out.add(connection, patients, by=by)
    return patients, traces.find(connection, settings, patients)


def _remove_caches(settings: Settings, found: Traces) -> int:
    """Remove the folders that hold the patient's ECGs or angiograms; return their number."""
    folders = caches.holding(settings, found.hashes, found.angiograms)
    if busy := [str(folder) for folder in folders if not caches.remove(folder)]:
        raise ForgettingError(
            f"A training works with ECGs of this patient in {', '.join(busy)}: the patient has opted out, "
            "and is forgotten when the command is repeated after its end."
        )
    return len(folders)


def _tell_receivers(engine: Engine, store: ObjectStore, settings: Settings, found: Traces) -> list[str]:
    """Send entered-in-error for the flags that receivers hold. Return the receivers that were not told."""
    untold = []
    for (format, destination), flags in found.held.items():
        known = receiver_of(format, store, settings).destination == destination
        if not known or SENDERS[format](engine, store, settings, flags).refused:
            untold.append(destination)
    return untold


def _forget_rows(
    connection: Connection, patients: Sequence[str], found: Traces, *, by: str, why: str
) -> dict[str, int]:
    """Remove the rows. The audit keeps that it happened: counts and models, and the patient's keyed hash."""
    connection.execute(queries.statement("opt_outs_change"))  # first: a shared lock would have to grow
    subject = load_opt_outs(connection).digest(patients[0]).hex()
    detail = {"receivers": _counts(found), "models": [learned._asdict() for learned in found.models]}
    values = {"patient_ids": patients, "subject": subject, "by": by, "why": why, "detail": json.dumps(detail)}
    return dict(connection.execute(queries.statement("forget_patient"), values).scalar_one())


def _counts(found: Traces) -> Mapping[str, int]:
    """Count the flags that each receiver holds."""
    counts: Counter[str] = Counter()
    for (_, destination), flags in found.held.items():
        counts[destination] += len(flags)
    return counts
