"""A run's hold on the worklist: claims, and leases that keep other scorers away while it works.

Postgres is the only arbiter. A claim is one statement (``FOR UPDATE SKIP LOCKED``); its attempt number is
checked again in the transaction that writes the scores, so a scorer that was given up for dead can still be
alive and do no harm.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from stence.database import queries
from stence.database.outage import patiently
from stence.errors import DatabaseUnavailableError
from stence.scoring.reading import Identity
from stence.settings import Settings

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
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
        return self._execute("enqueue", "model_version")

    def claim(self, limit: int) -> list[Claim]:
        """Lease up to ``limit`` ECGs; none when nobody's are left but those that others hold."""

        def action() -> list[Claim]:
            values = self._who | {"limit": limit, "lease_seconds": self._settings.lease_seconds}
            with self._engine.begin() as connection:
                return [Claim(*row) for row in connection.execute(queries.statement("claim"), values)]

        return patiently(action, self._settings.outage_seconds)

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
        return self._execute("release_leases", "run_id")

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the run's leases from a thread of its own, so that a slow model does not lose them."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew_until, args=(stop,), name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew_until(self, stop: threading.Event) -> None:
        while not stop.wait(self._settings.lease_seconds / RENEWALS_PER_LEASE):
            try:
                self._execute("renew_leases", "run_id", lease_seconds=self._settings.lease_seconds)
            except DatabaseUnavailableError as error:
                log.warning("leases could not be renewed: %s", error)

    def _held_by_others(self) -> bool:
        def action() -> bool:
            with self._engine.connect() as connection:
                return bool(connection.scalar(queries.statement("held_by_others"), self._who))

        return patiently(action, self._settings.outage_seconds)

    def _execute(self, name: str, *keys: str, **values: object) -> int:
        def action() -> int:
            with self._engine.begin() as connection:
                parameters = {key: self._who[key] for key in keys} | values
                return connection.execute(queries.statement(name), parameters).rowcount

        return patiently(action, self._settings.outage_seconds)
