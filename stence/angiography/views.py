"""Prepare angiograms for training: find the key frame of every view with a report, and compute features.

The features are of the key frame, or of several frames around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.angiography import refusals
from stence.angiography.backbone import Backbone
from stence.angiography.decoding import Decoder
from stence.angiography.features import ensure_features
from stence.angiography.frames import frames_around
from stence.angiography.reasons import UnusableAngiogramError
from stence.angiography.refusals import STORE_ERRORS, Refusal, as_refused
from stence.concurrency import in_order
from stence.database import queries
from stence.database.outage import transact
from stence.errors import StoreUnavailableError
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.retry import retry
from stence.settings import Settings

T = TypeVar("T")

VIEWS_TOGETHER = 100


class Unprepared(NamedTuple):
    """A view of ``frames`` frames without key frame (None) or features."""

    object_id: int
    key: str
    etag: str
    sop_instance_uid: str
    key_frame: int | None
    frames: int


class Prepared(NamedTuple):
    """A view whose features are in the store, and the index of its key frame."""

    view: Unprepared
    key_frame: int


def prepare_views(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    backbone: Backbone,
    versions: int,
    progress: Progress = silent,
    frames: int = 1,
) -> int:
    """Prepare every view with a report: find its key frame, compute features of ``frames`` frames around it.

    Each frame has features of ``versions`` versions. Returns the number of views. Views that cannot be
    decoded go to quarantine. Each view is recorded by itself, so a killed run resumes. Raises
    StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    done = 0
    wanted = _Wanted(backbone, versions, frames)
    with _Preparation(engine, store, settings, wanted).opened() as preparation:
        for views, remaining in preparation.batches():
            total = done + remaining
            for outcome in in_order(preparation.prepare, views, settings.decode_processes):
                preparation.record(outcome)
                done += 1
                progress("angiograms", done, total)
    return done


class _Wanted(NamedTuple):
    backbone: Backbone
    versions: int
    frames: int

    def as_values(self) -> dict[str, Any]:
        """Return the parameters of SQL statements."""
        return {"backbone": self.backbone.version, "versions": self.versions, "frames": self.frames}


class _Preparation:
    """Prepares views in threads, each with its own decoder; the calling thread writes the results."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings, wanted: _Wanted) -> None:
        self._engine, self._store, self._settings, self._wanted = engine, store, settings, wanted
        self._idle: SimpleQueue[Decoder] = SimpleQueue()

    @contextmanager
    def opened(self) -> Iterator[_Preparation]:
        """Open the decoders, as many as the settings say."""
        seconds, memory = self._settings.decode_seconds, self._settings.decode_memory_bytes
        with ExitStack() as stack:
            for _ in range(self._settings.decode_processes):
                self._idle.put(stack.enter_context(Decoder(seconds=seconds, memory_bytes=memory)))
            yield self

    def batches(self) -> Iterator[tuple[list[Unprepared], int]]:
        """Yield views to prepare, and the number of remaining views including these."""
        after = 0
        while found := transact(self._engine, self._settings.outage_seconds, self._unprepared, after):
            yield [view for view, _ in found], found[0][1]
            after = found[-1][0].object_id

    def prepare(self, view: Unprepared) -> Prepared | Refusal:
        """Find the view's key frame and store its features; return a refusal if the view cannot be used."""
        try:
            number, frames = self._decoded(view, self._retry(partial(self._fetch, view.key)))
        except (UnusableAngiogramError, *STORE_ERRORS) as error:
            refused = as_refused(error)
            return Refusal(view.object_id, view.etag, refused.reason, refused.detail)
        for index, pixels in frames.items():
            self._retry(partial(self._keep_features, view, index, pixels))
        return Prepared(view, number)

    def record(self, outcome: Prepared | Refusal) -> None:
        """Write the result of a view to the database."""
        transact(self._engine, self._settings.outage_seconds, self._write, outcome)

    def _unprepared(self, connection: Connection, after: int) -> list[tuple[Unprepared, int]]:
        values = self._wanted.as_values() | {"after": after, "limit": VIEWS_TOGETHER}
        rows = connection.execute(queries.statement("unprepared_angiograms"), values)
        return [(Unprepared(*view), remaining) for *view, remaining in rows]

    def _fetch(self, key: str) -> bytes:
        return self._store.get(key, self._settings.max_angiogram_bytes)

    def _decoded(self, view: Unprepared, content: bytes) -> tuple[int, dict[int, NDArray[np.float32]]]:
        """Return the key frame's index, and the pixels (rows, columns) of the frames around it by index."""
        decoder, count = self._idle.get(), self._wanted.frames
        try:
            if view.key_frame is not None:
                with suppress(IndexError):  # the file was replaced by a shorter one after the listing
                    around = frames_around(view.key_frame, view.frames, count)
                    return view.key_frame, {index: decoder.frame(content, index) for index in around}
            found = decoder.key_frame(content)
            others = {*frames_around(found.index, len(found.opacification), count)} - {found.index}
            return found.index, {
                found.index: found.pixels,
                **{index: decoder.frame(content, index) for index in others},
            }
        finally:
            self._idle.put(decoder)

    def _keep_features(self, view: Unprepared, frame: int, pixels: NDArray[np.float32]) -> None:
        uid, versions = view.sop_instance_uid, range(self._wanted.versions)
        backbone = self._wanted.backbone
        ensure_features(self._store, self._settings, backbone, uid, view.etag, frame, pixels, versions)

    def _write(self, connection: Connection, outcome: Prepared | Refusal) -> None:
        if isinstance(outcome, Refusal):
            refusals.write(connection, [outcome])
        else:
            values = {
                "object_id": outcome.view.object_id,
                "etag": outcome.view.etag,
                "key_frame": outcome.key_frame,
            }
            statement = queries.statement("prepared_angiogram")
            connection.execute(statement, values | self._wanted.as_values())
        connection.execute(queries.statement("resolve_angiograms"))

    def _retry(self, action: Callable[[], T]) -> T:
        return retry(action, self._settings.outage_seconds, StoreUnavailableError)
