"""Worklist of a run: claims of ECGs, with leases that exclude other scorers.

Postgres is the only arbiter. A claim is one statement (``FOR UPDATE SKIP LOCKED``). Its attempt number is a
fencing token: the transaction that writes the scores checks it again. So a slow scorer with an expired lease
does no harm.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Row

from stence.database import leases, queries
from stence.database.outage import transact
from stence.preparation.reading import Identity
from stence.scoring.workload import Portion
from stence.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5
FILES_TOGETHER = 50_000
"""Files that one transaction puts on the worklist."""


class Enqueued(NamedTuple):
    """Files that a statement went through, and how many of them are pending now."""

    files: int
    pending: int


class Claim(NamedTuple):
    """An ECG that this run may score: its file, and its data in manifests."""

    object_id: int
    key: str
    etag: str
    attempt: int
    patient_id: str | None
    acquired_at: datetime | None
    site: str | None
    indication: str | None
    local_timezone: str | None
    contradiction: str | None

    @property
    def identity(self) -> Identity:
        """Identity of the ECG by the manifests."""
        return Identity(
            self.patient_id,
            self.acquired_at,
            self.site,
            self.indication,
            self.local_timezone,
            self.contradiction,
        )


class Worklist:
    """Worklist of one model, for one run that takes a portion of it."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        model_version: str,
        run_id: uuid.UUID,
        portion: Portion = "all",
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._who = {"model_version": model_version, "run_id": run_id}
        self._portion = portion

    def enqueue(self) -> int:
        """Add the ECGs indexed since the last run, and the next part of the archive that is not listed yet.

        Return the number of new pending rows. A kill at any moment costs nothing: each part is a transaction.
        """
        newest = self._transact(self._begin)
        pending = 0
        while (part := self._add("enqueue_03_newer", newest=newest)).files:
            pending += part.pending
        return pending + self._add("enqueue_04_older", oldest=self._oldest()).pending

    def claim(self, limit: int) -> list[Claim]:
        """Lease up to ``limit`` ECGs. The list is empty if others hold all that remain."""
        while True:
            oldest = self._oldest()
            claims = self._claim(limit)
            if claims or not oldest or self._portion == "new":
                return claims
            self._add("enqueue_04_older", oldest=oldest)

    def _claim(self, limit: int) -> list[Claim]:
        values = {
            "limit": limit,
            "lease_seconds": self._settings.lease_seconds,
            "portion": self._portion,
        }
        return [Claim(*row) for row in self._rows("claim", **values)]

    def claim_or_wait(self, limit: int) -> list[Claim]:
        """Claim like ``claim``, but wait while other scorers hold the rest, until they finish or stop.

        The wait is at most one lease.
        """
        claims = self.claim(limit)
        waited = 0.0
        while not claims and waited <= self._settings.lease_seconds and self._held_by_others():
            if not waited:
                log.info("waiting for ECGs that other scorers hold")
            time.sleep(SECONDS_BETWEEN_LOOKS)
            waited += SECONDS_BETWEEN_LOOKS
            claims = self.claim(limit)
        return claims

    def release(self) -> int:
        """Release all leases of this run, and return their number. A lost claim may have left some."""
        return self._execute("release_leases")

    def still_held(self, claims: Sequence[Claim]) -> set[Claim]:
        """Return the claims that no other scorer took over. Scorers may take over expired leases."""
        rows = self._rows("still_held", object_ids=[claim.object_id for claim in claims])
        found = {tuple(row) for row in rows}
        held = {claim for claim in claims if (claim.object_id, claim.attempt) in found}
        if lost := len(claims) - len(held):
            log.warning("%d ECGs were taken over by other scorers, and are left to them", lost)
        return held

    def kept_alive(self) -> AbstractContextManager[None]:
        """Renew the leases of the run and its claims within the context, so a slow model keeps them."""

        def renew() -> None:
            values = self._who | {"lease_seconds": self._settings.lease_seconds}
            with self._engine.begin() as connection:
                connection.execute(queries.statement("renew_leases"), values)

        return leases.kept_alive(renew, self._settings.lease_seconds, f"run {self._who['run_id']}")

    def _begin(self, connection: Connection) -> int:
        """Return the highest change number, below which no further file can appear."""
        self._run(connection, "enqueue_01_hold", {})
        return int(self._run(connection, "enqueue_02_begin", {}).scalar_one())

    def _oldest(self) -> int:
        ((oldest,),) = self._rows("enqueue_05_oldest")
        return int(oldest)

    def _add(self, name: str, **values: object) -> Enqueued:
        (row,) = self._rows(name, limit=FILES_TOGETHER, **values)
        return Enqueued(*row)

    def _held_by_others(self) -> bool:
        ((held,),) = self._rows("held_by_others", portion=self._portion)
        return bool(held)

    def _rows(self, name: str, **values: object) -> Sequence[Row[Any]]:
        return self._transact(lambda connection: self._run(connection, name, values).all())

    def _execute(self, name: str) -> int:
        """Execute the statement, and return the number of changed rows."""
        return self._transact(lambda connection: self._run(connection, name, {}).rowcount)

    def _run(self, connection: Connection, name: str, values: Mapping[str, object]) -> CursorResult[Any]:
        return connection.execute(queries.statement(name), {**self._who, **values})

    def _transact(self, work: Callable[[Connection], T]) -> T:
        return transact(self._engine, self._settings.outage_seconds, work)
