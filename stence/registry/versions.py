"""Model versions and their states: candidate -> shadow -> champion -> retired, or rejected.

A shadow may return to candidate, where another takes its place. At most one version is champion. Every change
adds a row to ``model_events``, in the same transaction. Only ``rollback`` brings a retired model back. A
rejected model never comes back.

Flags follow the champion, in the transaction that changes it: open flags of the model that leaves are
withdrawn. Those of the model that comes open again, and its scores that had raised none raise theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, cast, exists, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from stence.database import queries
from stence.database.roles import APPROVER, acting_as
from stence.database.tables import model_events, models, promotion_refusals
from stence.domain.checks import Result, Verdict
from stence.errors import RegistryError
from stence.registry import approvals
from stence.registry.artefact import Artefact

PROMOTABLE = ("candidate", "shadow")
BETTER = models.c.manifest["gate", "better"].astext
"""``true`` if the gate has shown the model to be better than the champion."""
HINTS = {
    "retired": "; stence models rollback brings a retired model back",
    "rejected": "; stence query model_decisions says why, and the next training makes another model",
}


class Registered(NamedTuple):
    """A version, the folder of its artefact, and its registered SHA-256."""

    version: str
    folder: str
    sha256: str


class Succession(NamedTuple):
    """A change of champion: the new one, flags of the former one withdrawn, flags of the new one opened."""

    version: str
    withdrawn: int
    opened: int


def register(
    connection: Connection,
    artefact_folder: str,
    artefact: Artefact,
    *,
    by: str,
    why: str,
    differing: Mapping[str, Any] | None = None,
) -> None:
    """Register a published artefact as a candidate. Raises RegistryError if the version exists.

    ``differing`` fields stand in the registry instead of those of the artefact's manifest.
    """
    _one_change_at_a_time(connection)
    version = artefact.manifest.model_version
    if state_of(connection, version) is not None:
        raise RegistryError(f"Model version {version} is registered already; versions never change.")
    row = {
        "version": version,
        "state": "candidate",
        "folder": artefact_folder,
        "sha256": artefact.sha256,
        "preprocessing_version": artefact.manifest.preprocessing.version,
        "manifest": json.loads(artefact.manifest_bytes) | dict(differing or {}),
    }
    connection.execute(insert(models).values(row))
    _record(connection, version, None, "candidate", by, why)


def shadow(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Put a candidate into shadow: it scores but raises no flags. Raises RegistryError for other states."""
    _one_change_at_a_time(connection)
    _check(connection, version, ("candidate",), "go into shadow")
    _change(connection, version, "shadow", by, why)


def judge(connection: Connection, version: str, verdict: Verdict) -> str:
    """Record the verdict of this hospital's patients on a candidate that another one trained.

    A candidate that failed is rejected, any other goes into shadow: a verdict from elsewhere does not count.
    Return the state.
    """
    _one_change_at_a_time(connection)
    _check(connection, version, ("candidate",), "be judged")
    kept = models.c.manifest.concat(cast({"gate": verdict.as_json()}, JSONB))
    with acting_as(connection, APPROVER):
        connection.execute(update(models).where(models.c.version == version).values(manifest=kept))
    state = "rejected" if verdict.result is Result.FAILED else "shadow"
    _change(connection, version, state, "stence", verdict.text("the validation on this hospital's patients"))
    return state


def make_room(connection: Connection, version: str, *, by: str) -> list[str]:
    """Return all other shadows to candidates, but those that were shown better than the champion.

    Every shadow scores every ECG, so that models which are merely not worse take turns. Return the versions.
    """
    _one_change_at_a_time(connection)
    others = select(models.c.version).where(
        models.c.state == "shadow", models.c.version != version, BETTER.is_distinct_from("true")
    )
    found = list(connection.scalars(others.order_by(models.c.version)))
    for other in found:
        _change(connection, other, "candidate", by, f"{version} took its place in shadow")
    return found


def days_since_look(connection: Connection) -> float | None:
    """Return the days since the gate last judged a model, or since the first model; None without models.

    Every look at the same test patients is a chance to call a lucky model better.
    """
    judged = func.max(models.c.created_at).filter(models.c.manifest["gate", "checks"].is_not(None))
    since = func.coalesce(judged, func.min(models.c.created_at))
    seconds = connection.scalar(select(func.extract("epoch", func.now() - since)))
    return None if seconds is None else float(seconds) / 86_400


def reject(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Reject a candidate or shadow permanently. Raises RegistryError for any other state."""
    _one_change_at_a_time(connection)
    _check(connection, version, PROMOTABLE, "be rejected")
    _change(connection, version, "rejected", by, why)


def request_promotion(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Request the promotion of a candidate or shadow, which another person must approve.

    Raises RegistryError for a version that is unknown, already champion, retired or rejected, or whose
    promotion is requested already.
    """
    _check(connection, version, PROMOTABLE, "be promoted")
    approvals.request(connection, version, by=by, why=why)


def promote(
    connection: Connection,
    version: str,
    *,
    by: str,
    why: str,
    ungated: bool = False,
    two_people: bool = False,
) -> Succession:
    """Promote a candidate or shadow to champion, and retire the previous champion.

    ``ungated`` allows a version without a verdict of the gate, and is recorded with the change. With
    ``two_people`` the promotion needs an approved request, which it uses.
    Raises RegistryError for a version that is unknown, already champion, retired or rejected, that no gate
    has judged, or whose promotion is not approved.
    """
    _one_change_at_a_time(connection)
    _check(connection, version, PROMOTABLE, "be promoted")
    judged = _is_judged(connection, version)
    if not (judged or ungated):
        raise RegistryError(
            f"No gate has judged model version {version}: train it again with this version of stence, or "
            "promote it with --ungated, which is recorded."
        )
    if two_people:
        approvals.use(connection, version, by=by, why=why)
    return _make_champion(connection, version, by, why, ungated=not judged)


def rollback(connection: Connection, *, by: str, why: str) -> Succession:
    """Make the previous champion champion again, and retire the present one.

    Two rollbacks go back two promotions. Raises RegistryError if there is no previous champion.
    """
    _one_change_at_a_time(connection)
    current = champion(connection)
    if current is None:
        raise RegistryError("No model is champion: there is nothing to roll back.")
    previous = _replaced_by(connection, current.version)
    if previous is None:
        raise RegistryError(
            f"{current.version} is the first champion: there is no earlier champion to go back to."
        )
    return _make_champion(connection, previous, by, why)


def champion(connection: Connection) -> Registered | None:
    """Select the champion; None if there is none."""
    found = connection.execute(_REGISTERED.where(models.c.state == "champion")).one_or_none()
    return Registered(*found) if found else None


def find(connection: Connection, version: str) -> Registered:
    """Select a version in any state. Raises RegistryError if it is unknown."""
    found = connection.execute(_REGISTERED.where(models.c.version == version)).one_or_none()
    if found is None:
        raise RegistryError(f"There is no model version {version}; stence models list shows all versions.")
    return Registered(*found)


def state_of(connection: Connection, version: str) -> str | None:
    """Select the state of a version; None if it is unknown."""
    return connection.scalar(select(models.c.state).where(models.c.version == version))


def shadows(connection: Connection) -> list[Registered]:
    """Select the versions in shadow, oldest first."""
    found = _REGISTERED.where(models.c.state == "shadow").order_by(models.c.created_at, models.c.version)
    return [Registered(*row) for row in connection.execute(found)]


def due_shadows(connection: Connection, shadow_days: float) -> list[str]:
    """Select the shadows that may be promoted without a person, newest first.

    They were shown better than the present champion, and are in shadow for ``shadow_days`` or more. A shadow
    that the gate compared with an earlier champion is left out, and one that is merely not worse.
    """
    e, later = model_events.c, model_events.alias().c
    promoted_since = exists().where(later.to_state == "champion", later.id > e.id)
    due = (
        select(models.c.version)
        .join(model_events, (e.version == models.c.version) & (e.to_state == "shadow"))
        .where(models.c.state == "shadow", e.changed_at <= func.now() - timedelta(days=shadow_days))
        .where(~promoted_since, BETTER == "true")
        .order_by(e.id.desc())
    )
    return list(connection.scalars(due))


def refuse(connection: Connection, version: str, verdict: Verdict) -> None:
    """Record that a shadow was due and not promoted by itself, with the verdict on it.

    Every score run looks again: a look with the result and the checks of an earlier one updates its row.
    """
    row = {
        "version": version,
        "result": verdict.result.value,
        "checks": [check.name for check in verdict.responsible],
        "reason": "; ".join(verdict.reasons),
    }
    kept = upsert(promotion_refusals).values(row)
    again = {"reason": kept.excluded.reason, "looks": promotion_refusals.c.looks + 1, "last_at": func.now()}
    connection.execute(kept.on_conflict_do_update(constraint=promotion_refusals.primary_key, set_=again))


_REGISTERED = select(models.c.version, models.c.folder, models.c.sha256)


def _one_change_at_a_time(connection: Connection) -> None:
    connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))


def _check(connection: Connection, version: str, states: tuple[str, ...], change: str) -> None:
    state = state_of(connection, version)
    if state is None:
        raise RegistryError(f"There is no model version {version}; stence models list shows all versions.")
    if state not in states:
        raise RegistryError(f"Model version {version} is {state}: it cannot {change}{HINTS.get(state, '')}.")


def _is_judged(connection: Connection, version: str) -> bool:
    verdict = select(models.c.manifest["gate"].astext).where(models.c.version == version)
    return connection.scalar(verdict) is not None


def _make_champion(
    connection: Connection, version: str, by: str, why: str, *, ungated: bool = False
) -> Succession:
    withdrawn = 0
    with acting_as(connection, APPROVER):
        if current := champion(connection):
            _change(connection, current.version, "retired", by, why)
            withdrawn = _change_flags(connection, "withdraw_retired_flags", current.version, by, why)
        _change(connection, version, "champion", by, why, ungated=ungated)
        opened = _change_flags(connection, "reopen_flags", version, by, why)
        held_back = queries.statement("flag_held_back_scores")
        opened += connection.execute(held_back, {"model_version": version}).rowcount
    return Succession(version, withdrawn, opened)


def _change_flags(connection: Connection, statement: str, version: str, by: str, why: str) -> int:
    """Execute a statement that changes the flags of a model, and return their number."""
    values = {"model_version": version, "by": by, "reason": why}
    return int(connection.scalar(queries.statement(statement), values) or 0)


def _change(
    connection: Connection, version: str, state: str, by: str, why: str, *, ungated: bool = False
) -> None:
    before = state_of(connection, version)
    connection.execute(update(models).where(models.c.version == version).values(state=state))
    _record(connection, version, before, state, by, why, ungated=ungated)


def _record(
    connection: Connection,
    version: str,
    before: str | None,
    after: str,
    by: str,
    why: str,
    *,
    ungated: bool = False,
) -> None:
    row = {"version": version, "from_state": before, "to_state": after, "changed_by": by, "reason": why}
    connection.execute(insert(model_events).values(row | {"ungated": ungated}))


def _replaced_by(connection: Connection, version: str) -> str | None:
    """Select the model that retired when ``version`` was promoted. A version is promoted only once."""
    e = model_events.c
    promoted = (
        select(e.id)
        .where(e.version == version, e.to_state == "champion", e.from_state.in_(PROMOTABLE))
        .scalar_subquery()
    )
    return connection.scalar(
        select(e.version).where(e.id < promoted, e.to_state == "retired").order_by(e.id.desc()).limit(1)
    )
