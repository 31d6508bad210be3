"""Which patients a frozen model did not learn from.

A model stores no patient, so it is inferred, on the safe side. A training uses the studies that are known
when the model is made (``created_at`` of its manifest), and the split of each patient. A patient may have
been learned from if the split is not test and a study was performed, or first reported here, before the
model was made. Of a training with held-out patients (``split`` in ``training_run``) these are unseen too:
with a temporal split those without a study before the cut, with a site split those with an ECG at a held-out
site in a file known by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select

from stence.cohort.held_out import patients_at_sites
from stence.cohort.pairing import Plan
from stence.database.outage import transact
from stence.database.tables import cath_studies, model_events
from stence.domain.splits import HeldOut, Split
from stence.errors import StenceError
from stence.registry import Manifest
from stence.settings import Settings

TRAINED_HERE = ("stence train", "stence retrain")


@dataclass(frozen=True, slots=True)
class Seen:
    """Patients that the model may have learned from, and those without a study when it was made."""

    learned: frozenset[str]
    new: frozenset[str]


def seen_by(
    manifest: Manifest, plan: Plan, engine: Engine, settings: Settings, *, trained_elsewhere: bool
) -> Seen:
    """Return the patients of the plan's studies that the model may have learned from.

    With ``trained_elsewhere`` there are none. Raises StenceError if the model was trained in this database
    nevertheless, DatabaseUnavailableError.
    """
    made_at, wait = manifest.created_at, settings.outage_seconds
    reported = transact(engine, wait, _reported_before, made_at)
    known = [study for study in plan.studies if study.performed_at < made_at or study.study_id in reported]
    new = frozenset(study.patient_id for study in plan.studies) - {study.patient_id for study in known}
    if trained_elsewhere:
        _check_elsewhere(manifest.model_version, engine, settings)
        return Seen(frozenset(), new)
    held_out = HeldOut.of(manifest.training_run.get("split", {}))
    old = {study.patient_id for study in known if held_out.cut is None or study.performed_at < held_out.cut}
    if held_out.sites:
        old -= transact(engine, wait, patients_at_sites, held_out.sites, made_at)
    split_of = plan.patients.split_of
    return Seen(frozenset(patient for patient in old if split_of(patient) is not Split.TEST), new)


def _reported_before(connection: Connection, moment: datetime) -> set[str]:
    """Select the studies that a report had named by then."""
    known = select(cath_studies.c.study_id).where(cath_studies.c.first_seen_at < moment)
    return set(connection.scalars(known))


def _check_elsewhere(version: str, engine: Engine, settings: Settings) -> None:
    by = select(model_events.c.changed_by).where(
        model_events.c.version == version, model_events.c.from_state.is_(None)
    )
    if transact(engine, settings.outage_seconds, Connection.scalar, by) in TRAINED_HERE:
        raise StenceError(
            f"{version} was trained in this database, so it learned from patients of it: "
            "leave out --trained-elsewhere."
        )
