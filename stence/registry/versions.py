"""Model versions and their states: candidate -> shadow -> champion -> retired, or else rejected.

At most one is champion. Every change leaves a row in ``model_events``, in the transaction that makes it.
A retired model comes back by ``rollback`` only, a rejected one never. A shadow's scores raise no flags
until it is promoted; then they do, in the same transaction.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, exists, func, insert, select, text, update

from stence.database import queries
from stence.database.tables import model_events, models
from stence.errors import RegistryError
from stence.registry.artefact import Artefact

PROMOTABLE = ("candidate", "shadow")
HINTS = {
    "retired": "; stence models rollback brings a retired one back",
    "rejected": "; stence query model_decisions says why, the next training makes another",
}


class Registered(NamedTuple):
    """Where a version's artefact lies, and its registered SHA-256."""

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


def shadow(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Let a candidate score beside the champion without raising flags. Raises RegistryError for any other."""
    _one_change_at_a_time(connection)
    _check(connection, version, ("candidate",), "go into shadow")
    _change(connection, version, "shadow", by, why)


def reject(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Rule out a candidate or shadow for good. Raises RegistryError for any other version."""
    _one_change_at_a_time(connection)
    _check(connection, version, PROMOTABLE, "be rejected")
    _change(connection, version, "rejected", by, why)


def promote(connection: Connection, version: str, *, by: str, why: str) -> int:
    """Make a candidate or shadow the champion; the champion before it retires.

    Flags are raised for the ECGs that it scored as a shadow, as if it had been champion; how many.
    Raises RegistryError for a version that is unknown, champion already, retired or rejected.
    """
    _one_change_at_a_time(connection)
    _check(connection, version, PROMOTABLE, "be promoted")
    _make_champion(connection, version, by, why)
    return connection.execute(queries.statement("flag_shadow_scores"), {"model_version": version}).rowcount


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


def champion(connection: Connection) -> Registered | None:
    """The champion, if there is one."""
    found = connection.execute(_REGISTERED.where(models.c.state == "champion")).one_or_none()
    return Registered(*found) if found else None


def shadows(connection: Connection) -> list[Registered]:
    """The versions in shadow, oldest first."""
    found = _REGISTERED.where(models.c.state == "shadow").order_by(models.c.created_at, models.c.version)
    return [Registered(*row) for row in connection.execute(found)]


def due_shadows(connection: Connection, shadow_days: float) -> list[str]:
    """The shadows that have served their days beside the present champion, newest first.

    One that was judged against a champion before this one is for a person to promote.
    """
    e, later = model_events.c, model_events.alias().c
    promoted_since = exists().where(later.to_state == "champion", later.id > e.id)
    due = (
        select(models.c.version)
        .join(model_events, (e.version == models.c.version) & (e.to_state == "shadow"))
        .where(models.c.state == "shadow", e.changed_at <= func.now() - timedelta(days=shadow_days))
        .where(~promoted_since)
        .order_by(e.id.desc())
    )
    return list(connection.scalars(due))


def promote_due(connection: Connection, shadow_days: float) -> str | None:
    """Promote the newest shadow that is due, if any; its version."""
    _one_change_at_a_time(connection)
    due = due_shadows(connection, shadow_days)
    if not due:
        return None
    promote(connection, due[0], by="stence", why=f"{shadow_days:g} days in shadow are over")
    return due[0]


_REGISTERED = select(models.c.version, models.c.folder, models.c.sha256)


def _one_change_at_a_time(connection: Connection) -> None:
    connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))


def _state(connection: Connection, version: str) -> str | None:
    return connection.scalar(select(models.c.state).where(models.c.version == version))


def _check(connection: Connection, version: str, states: tuple[str, ...], change: str) -> None:
    state = _state(connection, version)
    if state is None:
        raise RegistryError(f"There is no model version {version}; stence models list shows them.")
    if state not in states:
        raise RegistryError(f"Model version {version} is {state}: it cannot {change}{HINTS.get(state, '')}.")


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
