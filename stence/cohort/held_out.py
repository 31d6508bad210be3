"""Options of a training that move more patients into test: the newest patients, or those of held-out sites.

Who is a test patient by the hash stays one. A patient is moved as a whole: one with studies on both sides of
the cut, or with ECGs at a held-out site and elsewhere, goes into test with everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection, Engine

from stence.cohort.pairing import Plan
from stence.database import queries
from stence.database.outage import transact
from stence.domain.splits import HeldOut, Split
from stence.errors import StenceError
from stence.settings import Settings


class _Option(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PatientSplit(_Option):
    """Split by a hash of the patient alone."""

    kind: Literal["patient"] = "patient"


class TemporalSplit(_Option):
    """Move patients with a study on or after a cut into test; the cut is a date, or follows from a share."""

    kind: Literal["temporal"]
    cut: date | None = Field(None, description="First day, in the hospital's time zone, of studies in test.")
    newest: float | None = Field(
        None, gt=0, lt=1, description="Share of patients, by their last study, that are in test as newest."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cut is None) == (self.newest is None):
            raise ValueError("a temporal split takes either cut (a date) or newest (a share of the patients)")
        return self


class SiteSplit(_Option):
    """Move patients with an ECG at one of these sites into test."""

    kind: Literal["site"]
    sites: tuple[str, ...] = Field(min_length=1, description="Sites, as manifests or ECG files name them.")


SplitConfig = Annotated[PatientSplit | TemporalSplit | SiteSplit, Field(discriminator="kind")]


def hold_out(plan: Plan, option: SplitConfig, engine: Engine, settings: Settings) -> Plan:
    """Return the plan with the patients moved into test that the option names.

    Raises StenceError if it names no patient with a study, DatabaseUnavailableError.
    """
    if isinstance(option, TemporalSplit):
        return _after_cut(plan, option, ZoneInfo(settings.timezone))
    if isinstance(option, SiteSplit):
        found = transact(engine, settings.outage_seconds, patients_at_sites, option.sites)
        return _at_sites(plan, option, found)
    return plan


def patients_at_sites(
    connection: Connection, sites: tuple[str, ...], known_before: datetime | None = None
) -> set[str]:
    """Select the patients with an ECG at one of the sites, in files known before a time if it is given."""
    values = {"sites": list(sites), "known_before": known_before}
    return set(connection.scalars(queries.statement("patients_at_sites"), values))


def _after_cut(plan: Plan, option: TemporalSplit, zone: ZoneInfo) -> Plan:
    last = _last_studies(plan)
    if option.cut is not None:
        cut = datetime.combine(option.cut, time(), zone)
    else:
        cut = _cut_of_share(sorted(last.values()), option.newest or 0)
    moved = {patient for patient, at in last.items() if at >= cut}
    if not moved:
        newest = f"the newest is of {max(last.values()):%Y-%m-%d}" if last else "there is no study"
        raise StenceError(
            f"split: no study is of {cut:%Y-%m-%d} or later, {newest}. Choose an earlier cut, or newest: a "
            "share of the patients."
        )
    return _moved(plan, HeldOut("temporal", cut=cut), moved)


def _at_sites(plan: Plan, option: SiteSplit, found: set[str]) -> Plan:
    moved = found & {study.patient_id for study in plan.studies}
    if not moved:
        raise StenceError(
            f"split: no patient with a cath study has an ECG at {', '.join(option.sites)}. Sites are named "
            "as in the column site of record_list.csv, or as ECG files name them."
        )
    return _moved(plan, HeldOut("site", sites=option.sites), moved)


def _moved(plan: Plan, held_out: HeldOut, patients: set[str]) -> Plan:
    moved = {patient for patient in patients if plan.patients.split_of(patient) is not Split.TEST}
    splits: Mapping[str, Split] = {**plan.patients.splits, **dict.fromkeys(moved, Split.TEST)}
    return replace(
        plan,
        patients=replace(plan.patients, splits=splits),
        held_out=replace(held_out, moved=len(moved)),
    )


def _last_studies(plan: Plan) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for study in plan.studies:
        last[study.patient_id] = max(study.performed_at, last.get(study.patient_id, study.performed_at))
    return last


def _cut_of_share(times: list[datetime], newest: float) -> datetime:
    """Return the time from which on there are at least the share ``newest`` of ``times``, in order."""
    if not times:
        raise StenceError("split: there is no cath study to divide by time.")
    return times[len(times) - math.ceil(round(len(times) * newest, 9))]
