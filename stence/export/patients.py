"""Reference to a patient in exports: a pseudonym, or the hospital's own number where settings allow it."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.outage import transact
from stence.export.messages import NAMESPACE
from stence.settings import Settings

KEY_BYTES = 32


class PatientNames(NamedTuple):
    """Names of patients in exports. ``key`` is None where the hospital's own numbers are sent."""

    system: str
    key: bytes | None

    def of(self, patient_id: str) -> str:
        """Return the hospital's number or the pseudonym, a keyed BLAKE2b hash of 128 bits in hexadecimal.

        >>> PatientNames("https://hospital.example/patients", None).of("4711")
        '4711'
        >>> PatientNames("urn:uuid:…", b"secret").of("4711")
        '9e960f1ecefc3ccf5b7dcdfcc41c5ae3'
        """
        if self.key is None:
            return patient_id
        return hashlib.blake2b(patient_id.encode(), key=self.key, digest_size=16).hexdigest()


def patient_names(engine: Engine, settings: Settings) -> PatientNames:
    """Return the names that the settings ask for. Each key of pseudonyms has a system of its own."""
    if settings.patient_system is not None:
        return PatientNames(settings.patient_system, None)
    return pseudonyms(engine, settings)


def pseudonyms(engine: Engine, settings: Settings) -> PatientNames:
    """Return pseudonyms by the key of the settings, else by the one that is kept in Postgres."""
    key = hashlib.blake2b(_key(engine, settings).encode(), digest_size=KEY_BYTES).digest()
    fingerprint = hashlib.sha256(b"system of pseudonyms " + key).hexdigest()
    return PatientNames(uuid.uuid5(NAMESPACE, fingerprint).urn, key)


def _key(engine: Engine, settings: Settings) -> str:
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key.get_secret_value()
    new = {"key": secrets.token_hex(KEY_BYTES)}
    return transact(engine, settings.outage_seconds, _kept_key, new)


def _kept_key(connection: Connection, new: dict[str, str]) -> str:
    return str(connection.execute(queries.statement("export_04_pseudonym_key"), new).scalar_one())
