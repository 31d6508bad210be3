"""Read the headers of angiograms; only the beginning of each file is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from stence.angiography import refusals
from stence.angiography.dicom import IncompleteHeaderError, View, read_view
from stence.angiography.reasons import Reason, UnusableAngiogramError, refuse
from stence.angiography.refusals import STORE_ERRORS, Refusal, as_refused
from stence.concurrency import in_order
from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import transact
from stence.domain.opt_outs import OptOuts
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import StoreUnavailableError
from stence.ingest.patients import load_opt_outs
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.pseudonym_key import load_pseudonyms
from stence.retry import retry
from stence.settings import Settings

HEADS_TOGETHER = 500


class Unread(NamedTuple):
    """An angiogram whose header has not been read."""

    object_id: int
    key: str
    etag: str
    size_bytes: int


class Head(NamedTuple):
    """Header data of an angiogram, a row of ``angiogram_views``; ``number`` is for the map alone."""

    object_id: int
    etag: str
    sop_instance_uid: str
    study_instance_uid: str | None
    accession_number: str | None
    dicom_study_id: str | None
    patient_id: str
    number: str
    acquired_at: datetime | None
    local_timezone: str | None
    primary_angle: float
    secondary_angle: float
    frames: int


def read_heads(engine: Engine, store: ObjectStore, settings: Settings, progress: Progress) -> None:
    """Read all unread headers in batches; each angiogram becomes a view or goes to quarantine.

    Raises StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    done, reader = 0, _Reader(store, settings)
    for batch in _batches(engine, settings):
        outcomes = list(in_order(reader.read, batch, settings.fetch_threads))
        transact(engine, settings.outage_seconds, _write, outcomes)
        done += len(batch)
        progress("angiogram headers", done)


def _batches(engine: Engine, settings: Settings) -> Iterator[list[Unread]]:
    after = 0
    while batch := transact(engine, settings.outage_seconds, _unread, after):
        yield batch
        after = batch[-1].object_id


def _unread(connection: Connection, after: int) -> list[Unread]:
    values = {"after": after, "limit": HEADS_TOGETHER}
    return [Unread(*row) for row in connection.execute(queries.statement("unread_angiograms"), values)]


def _write(connection: Connection, outcomes: Sequence[Head | Refusal]) -> None:
    opted_out = load_opt_outs(connection)
    outcomes = [_unless_opted_out(outcome, opted_out) for outcome in outcomes]
    connection.execute(queries.statement("stage_angiogram_heads"))
    heads = [outcome for outcome in outcomes if isinstance(outcome, Head)]
    copy_rows(connection, "staged_angiogram_heads", Head._fields, heads)
    connection.execute(queries.statement("remember_angiogram_heads"))
    connection.execute(queries.statement("take_angiogram_heads"))
    refusals.write(connection, [outcome for outcome in outcomes if isinstance(outcome, Refusal)])


def _unless_opted_out(outcome: Head | Refusal, opted_out: OptOuts) -> Head | Refusal:
    if isinstance(outcome, Refusal) or outcome.patient_id not in opted_out:
        return outcome
    refused = refuse(Reason.OPTED_OUT, "its patient has opted out")
    return Refusal(outcome.object_id, outcome.etag, refused.reason, refused.detail)


class _Reader:
    """Fetches and reads headers; threads share it."""

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        self._store = store
        self._zone = ZoneInfo(settings.timezone)
        self._pseudonyms = load_pseudonyms(settings)
        self._settings = settings

    def read(self, unread: Unread) -> Head | Refusal:
        """Return the header data, or the refusal of the angiogram."""
        try:
            return _head(unread, self._checked(self._view(unread)), self._zone, self._pseudonyms)
        except (UnusableAngiogramError, *STORE_ERRORS) as error:
            refused = as_refused(error)
            return Refusal(unread.object_id, unread.etag, refused.reason, refused.detail)

    def _checked(self, view: View) -> View:
        most = self._settings
        pixels = view.frames * view.rows * view.columns
        if view.frames > most.max_angiogram_frames or pixels > most.max_angiogram_pixels:
            detail = f"{view.frames} frames of {view.rows} x {view.columns} pixels"
            raise refuse(Reason.IMPLAUSIBLE_SIZE, detail)
        return view

    def _view(self, unread: Unread) -> View:
        if unread.size_bytes > self._settings.max_angiogram_bytes:
            raise refuse(Reason.OBJECT_TOO_LARGE, f"it has {unread.size_bytes} bytes")
        return retry(
            lambda: _read(self._store, unread.key), self._settings.outage_seconds, StoreUnavailableError
        )


def _read(store: ObjectStore, key: str) -> View:
    """Read the view of the file under ``key`` from its first chunk, or from more if the header is longer."""
    head, enough = bytearray(), 0
    with closing(store.stream(key)) as chunks:
        for chunk in chunks:
            head += chunk
            if len(head) >= enough:
                try:
                    return read_view(bytes(head))
                except IncompleteHeaderError:
                    enough = 2 * len(head)
    return read_view(bytes(head), whole=True)


def _head(unread: Unread, view: View, zone: ZoneInfo, pseudonyms: Pseudonyms) -> Head:
    if not view.patient_id:
        raise refuse(Reason.UNKNOWN_PATIENT, "it does not name its patient")
    taken = view.acquired_at
    is_local = taken is not None and taken.tzinfo is None
    return Head(
        object_id=unread.object_id,
        etag=unread.etag,
        sop_instance_uid=view.sop_instance_uid,
        study_instance_uid=view.study_instance_uid,
        accession_number=view.accession_number or None,
        dicom_study_id=view.study_id or None,
        patient_id=pseudonyms.of(view.patient_id),
        number=view.patient_id,
        acquired_at=taken.replace(tzinfo=zone) if taken is not None and is_local else taken,
        local_timezone=zone.key if is_local else None,
        primary_angle=view.primary_angle,
        secondary_angle=view.secondary_angle,
        frames=view.frames,
    )
