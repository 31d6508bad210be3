"""Model versions and their states: candidate -> shadow -> champion -> retired.

At most one is champion. Every change leaves a row in ``model_events``, in the transaction that makes it.
A retired model comes back by ``rollback`` only.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, text, update

from stence.database.tables import model_events, models
from stence.errors import RegistryError
from stence.registry.artefact import Artefact

PROMOTABLE = ("candidate", "shadow")


class Champion(NamedTuple):
    """Where the champion's artefact lies, and its registered SHA-256."""

    version: str
    folder: str
    sha256: str


def register(connection: Connection, artefact_folder: str, artefact: Artefact, *, by: str, why: str) -> None:
    """Record a published artefact as a candidate. Raises RegistryError if the version exists."""
    _one_change_at_a_time(connection)
    version = artefact.manifest.model_version
    if _state(connection, version) is not None:
        raise RegistryError(f"Model version {version} is registered already; versions never change.")
    row = {
        "version": version,
        "state": "candidate",
        "folder": artefact_folder,
        "sha256": artefact.sha256,
        "preprocessing_version": artefact.manifest.preprocessing.version,
        "manifest": json.loads(artefact.manifest_bytes),
    }
    connection.execute(insert(models).values(row))
    _record(connection, version, None, "candidate", by, why)


def promote(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Make a candidate or shadow the champion; the champion before it retires.

    Raises RegistryError for a version that is unknown, champion already, or retired.
    """
    _one_change_at_a_time(connection)
    state = _state(connection, version)
    if state is None:
        raise RegistryError(f"There is no model version {version}; stence models list shows them.")
    if state not in PROMOTABLE:
        hint = "; stence models rollback brings a retired one back" if state == "retired" else ""
        raise RegistryError(f"Model version {version} is {state}: it cannot be promoted{hint}.")
    _make_champion(connection, version, by, why)


def rollback(connection: Connection, *, by: str, why: str) -> str:
    """Make the model that the champion replaced champion again, and retire the champion; the version.

    Twice in a row goes back two promotions. Raises RegistryError if there is nothing to go back to.
    """
    _one_change_at_a_time(connection)
    current = champion(connection)
    if current is None:
        raise RegistryError("No model is champion: there is nothing to roll back.")
    previous = _replaced_by(connection, current.version)
    if previous is None:
        raise RegistryError(
            f"{current.version} is the first champion: there is none before it to go back to."
        )
    _make_champion(connection, previous, by, why)
    return previous


def champion(connection: Connection) -> Champion | None:
    """The champion, if there is one."""
    found = connection.execute(
        select(models.c.version, models.c.folder, models.c.sha256).where(models.c.state == "champion")
    ).one_or_none()
    return Champion(*found) if found else None


def _one_change_at_a_time(connection: Connection) -> None:
    connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))


def _state(connection: Connection, version: str) -> str | None:
    return connection.scalar(select(models.c.state).where(models.c.version == version))


def _make_champion(connection: Connection, version: str, by: str, why: str) -> None:
    if current := champion(connection):
        _change(connection, current.version, "retired", by, why)
    _change(connection, version, "champion", by, why)


def _change(connection: Connection, version: str, state: str, by: str, why: str) -> None:
    before = _state(connection, version)
    connection.execute(update(models).where(models.c.version == version).values(state=state))
    _record(connection, version, before, state, by, why)


def _record(connection: Connection, version: str, before: str | None, after: str, by: str, why: str) -> None:
    row = {"version": version, "from_state": before, "to_state": after, "changed_by": by, "reason": why}
    connection.execute(insert(model_events).values(row))


def _replaced_by(connection: Connection, version: str) -> str | None:
    """The model that retired when ``version`` was promoted, which happens once: then it is rolled back to."""
    e = model_events.c
    promoted = (
        select(e.id)
        .where(e.version == version, e.to_state == "champion", e.from_state.in_(PROMOTABLE))
        .scalar_subquery()
    )
    return connection.scalar(
        select(e.version).where(e.id < promoted, e.to_state == "retired").order_by(e.id.desc()).limit(1)
    )
