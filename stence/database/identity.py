"""The map of patients in the schema ``identity``, and the key of its pseudonyms.

Postgres holds a fingerprint of the key, never the key. A host with another key is refused before it writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Engine, delete, func, select, update

from stence.database import queries
from stence.database.tables import installation
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import ConfigurationError
from stence.pseudonym_key import draw_key, find_key, keep_key, key_file, write_key
from stence.settings import Settings

FINGERPRINT, KEPT_KEY = "pseudonym_fingerprint", "pseudonym_key"
"""Names in ``installation``; the second is of earlier releases."""
PRACTICE_KEY = "key of the practice hospital"
LOCK = int.from_bytes(hashlib.sha256(b"stence pseudonym key").digest()[:8], signed=True)


def check_key(engine: Engine, settings: Settings) -> None:
    """Check that this host has the database's key of pseudonyms; the first host may draw it.

    Raises ConfigurationError if the key is missing here, or is another one.
    """
    with engine.connect() as connection:
        known, key = fingerprint(connection), find_key(settings)
    if known is None or key is None or Pseudonyms.by(key).fingerprint != known:
        with engine.begin() as connection:
            settle_key(connection, settings)


def settle_key(connection: Connection, settings: Settings) -> Pseudonyms:
    """Return the database's pseudonyms, and keep the fingerprint of their key.

    A key that an earlier release kept in Postgres moves to the file. Raises ConfigurationError as
    ``check_key`` does.
    """
    connection.execute(queries.statement("pseudonym_key_01_lock"), {"lock": LOCK})
    known = fingerprint(connection)
    found = _key(connection, settings, known)
    pseudonyms = Pseudonyms.by(found)
    if known is not None and pseudonyms.fingerprint != known:
        raise ConfigurationError(_refusal(settings, "is another one"))
    values = {"fingerprint": pseudonyms.fingerprint}
    connection.execute(queries.statement("pseudonym_key_02_fingerprint"), values)
    return pseudonyms


def fingerprint(connection: Connection) -> str | None:
    """Return the fingerprint of the key by which this database's pseudonyms were made."""
    return connection.scalar(select(installation.c.value).filter_by(name=FINGERPRINT))


def remember(connection: Connection, numbers: Mapping[str, str]) -> None:
    """Keep the number of each pseudonym, in the transaction that writes rows of these patients."""
    values = {"patient_ids": list(numbers), "numbers": list(numbers.values())}
    connection.execute(queries.statement("remember_patients"), values)


def numbers_of(connection: Connection, patients: Collection[str], *, why: str) -> dict[str, str]:
    """Return the numbers of those patients whom the login may see. The audit records the read."""
    connection.execute(queries.statement("act_as_login"))
    values = {"patient_ids": list(patients), "why": why}
    found = connection.execute(queries.statement("identity_numbers"), values)
    return {patient: number for patient, number in found}


def find(connection: Connection, number: str, *, why: str) -> tuple[str, str] | None:
    """Return the pseudonyms of a patient number and of the patient's present number; None: unknown.

    The audit records the search.
    """
    connection.execute(queries.statement("act_as_login"))
    found = connection.execute(queries.statement("identity_find"), {"number": number, "why": why})
    row = found.one_or_none()
    return None if row is None else (row.patient_id, row.present_id)


def use_practice_key(engine: Engine, settings: Settings) -> None:
    """Give a practice database that is empty yet the key that makes practice reproducible, and public."""
    write_key(key_file(settings), PRACTICE_KEY, replace=True)
    with engine.begin() as connection:
        replace_fingerprint(connection, Pseudonyms.by(PRACTICE_KEY))


def replace_fingerprint(connection: Connection, pseudonyms: Pseudonyms) -> None:
    """Keep that the database has the pseudonyms of another key from now on."""
    values = {"value": pseudonyms.fingerprint, "set_at": func.now()}
    connection.execute(update(installation).where(installation.c.name == FINGERPRINT).values(values))


def _key(connection: Connection, settings: Settings, known: str | None) -> str:
    kept = connection.scalar(select(installation.c.value).filter_by(name=KEPT_KEY))
    if kept is not None:
        connection.execute(delete(installation).where(installation.c.name == KEPT_KEY))
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key.get_secret_value()
    if kept is not None and keep_key(settings, kept) != kept:
        raise ConfigurationError(_refusal(settings, "is another one"))
    key = find_key(settings)
    if key is None and known is not None:
        raise ConfigurationError(_refusal(settings, "is missing"))
    if key == PRACTICE_KEY and known is None:
        raise ConfigurationError(
            f"{key_file(settings)} holds the public key of the practice hospital, which protects nobody: "
            "remove it, and a new key is drawn; or name another STENCE_DATA_DIR."
        )
    return key or keep_key(settings, draw_key())


def _refusal(settings: Settings, fault: str) -> str:
    where = "STENCE_PSEUDONYM_KEY" if settings.pseudonym_key is not None else key_file(settings)
    return (
        f"The key of pseudonyms in {where} {fault}: patients of this database would become other patients. "
        "Nothing was written. Copy the key from a host that has worked on this database "
        "(pseudonym.key in its STENCE_DATA_DIR, or its STENCE_PSEUDONYM_KEY)."
    )
