"""A run's hold on the worklist: claims, and leases that keep other scorers away while it works.

Postgres is the only arbiter. A claim is one statement (``FOR UPDATE SKIP LOCKED``); its attempt number is
checked again in the transaction that writes the scores, so a scorer that was given up for dead can still be
alive and do no harm.
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
from stence.scoring.reading import Identity
from stence.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5


class Claim(NamedTuple):
    """An ECG that this run may score: its file, and what manifests say of it."""

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
        """What manifests say of it."""
        return Identity(
            self.patient_id,
            self.acquired_at,
            self.site,
            self.indication,
            self.local_timezone,
            self.contradiction,
        )


class Worklist:
    """The worklist of one model, as one run sees it."""

    def __init__(self, engine: Engine, settings: Settings, model_version: str, run_id: uuid.UUID) -> None:
        self._engine = engine
        self._settings = settings
        self._who = {"model_version": model_version, "run_id": run_id}

    def enqueue(self) -> int:
        """Add what was indexed since the last run; how many rows became pending."""
        return self._execute("enqueue")

    def claim(self, limit: int) -> list[Claim]:
        """Lease up to ``limit`` ECGs; none when nobody's are left but those that others hold."""
        values = {"limit": limit, "lease_seconds": self._settings.lease_seconds}
        return [Claim(*row) for row in self._rows("claim", **values)]

    def claim_or_wait(self, limit: int) -> list[Claim]:
        """Like ``claim``, but where other scorers hold the rest, wait for them: they finish, or fall silent.

        Waits no longer than one lease.
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
        """Give back what this run still holds, for instance of a claim whose answer was lost; how many."""
        return self._execute("release_leases")

    def still_held(self, claims: Sequence[Claim]) -> set[Claim]:
        """The claims among these that no other scorer has taken over, as it may when leases ran out."""
        rows = self._rows("still_held", object_ids=[claim.object_id for claim in claims])
        found = {tuple(row) for row in rows}
        held = {claim for claim in claims if (claim.object_id, claim.attempt) in found}
        if lost := len(claims) - len(held):
            log.warning("%d ECGs were taken over by other scorers, and are left to them", lost)
        return held

    def kept_alive(self) -> AbstractContextManager[None]:
        """Renew the leases of the run and of its claims, so that a slow model does not lose them."""

        def renew() -> None:
            values = self._who | {"lease_seconds": self._settings.lease_seconds}
            with self._engine.begin() as connection:
                connection.execute(queries.statement("renew_leases"), values)

        return leases.kept_alive(renew, self._settings.lease_seconds, f"run {self._who['run_id']}")

    def _held_by_others(self) -> bool:
        ((held,),) = self._rows("held_by_others")
        return bool(held)

    def _rows(self, name: str, **values: object) -> Sequence[Row[Any]]:
        return self._transact(lambda connection: self._run(connection, name, values).all())

    def _execute(self, name: str) -> int:
        """Number of rows that the statement changed."""
        return self._transact(lambda connection: self._run(connection, name, {}).rowcount)

    def _run(self, connection: Connection, name: str, values: Mapping[str, object]) -> CursorResult[Any]:
        return connection.execute(queries.statement(name), {**self._who, **values})

    def _transact(self, work: Callable[[Connection], T]) -> T:
        return transact(self._engine, self._settings.outage_seconds, work)
