"""Promotion: what a model did in shadow is judged before it becomes champion, by itself or by a person.

The gate has compared both models on test patients. In shadow the challenger meets the ECGs that come every
day, most of them of patients who are never examined, and the champion scores the same ECGs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from stence import registry
from stence.database import queries
from stence.database.tables import models
from stence.domain.checks import Check, Result, Verdict
from stence.domain.targets import DECISIVE, TARGET_NAMES, labels
from stence.evaluation.agreement import rank_agreement
from stence.evaluation.metrics import BinaryPredictions, patient_shares
from stence.evaluation.paired import areas
from stence.models.clinical import clinical_values
from stence.registry import approvals

MAX_ECGS = 20_000
"""ECGs that are compared, those of the lowest content hashes: a random sample."""
WAITING = ("requested", "approved")
"""Last events of a promotion that people are still about."""
MIN_PATIENTS = 100
"""Patients scored by both models, below which nothing is said."""
MIN_OUTCOMES = 20
"""Patients with, and without, the stenosis among the outcomes, below which nothing is said of them."""
MIN_AGREEMENT = 0.5
"""Rank correlation of the patients' risks beyond age and sex. On the practice hospital, models with and
without pretraining have .79 to .87; with a shuffled network, about 0."""
MAX_RISK_FACTOR = 1.5
"""Mean risk in proportion to the champion's, in either direction."""
MAX_WORKLOAD_FACTOR = 2.0
"""Alerts in proportion to the champion's, in either direction."""
CERTAIN = 1.645
"""Standard errors of a one-sided bound of 95 %."""

Reals = NDArray[np.float64]


class Paired(NamedTuple):
    """Probabilities of shadow and champion (n,) for ECGs of ``patients`` (n,); ``label`` NaN if unknown.

    ``clinical`` (n, 2) are age and sex as in ``stence.models.clinical``.
    """

    patients: NDArray[np.int64]
    new: Reals
    old: Reals
    label: NDArray[np.float32]
    clinical: Reals


class Attempt(NamedTuple):
    """A shadow that was due, and the evidence on it; it was promoted if the evidence passed.

    ``two_people``: its promotion was requested instead.
    """

    version: str
    evidence: Verdict
    two_people: bool = False

    @property
    def promoted(self) -> bool:
        """True if the shadow is champion now."""
        return self.evidence.passed and not self.two_people


def promote_due(connection: Connection, shadow_days: float, *, two_people: bool = False) -> list[Attempt]:
    """Promote the newest due shadow whose evidence passes. Return it and those refused before it.

    Refusals are kept with their reasons. With ``two_people`` the promotion is requested, one at a time and
    once for each shadow, and a person approves it.
    """
    attempts: list[Attempt] = []
    for version in registry.due_shadows(connection, shadow_days):
        if two_people and (event := approvals.last_event(connection, version)):
            if event in WAITING:
                break
            continue
        attempts.append(attempt := Attempt(version, evidence(connection, version), two_people))
        if attempt.evidence.passed:
            why = (
                f"better than the champion; {shadow_days:g} days in shadow; {attempt.evidence.text('shadow')}"
            )
            become = registry.request_promotion if two_people else registry.promote
            become(connection, version, by="stence", why=why)
            break
        registry.refuse(connection, version, attempt.evidence)
    return attempts


def evidence(connection: Connection, version: str) -> Verdict:
    """Judge what a model did beside the champion, at the target that decides."""
    champion = registry.champion(connection)
    if champion is None or champion.version == version:
        return Verdict((Check("shadow", Result.CANNOT_TELL, "there is no champion to compare with"),))
    values = {"version": version, "most": MAX_ECGS}
    rows = connection.execute(queries.statement("shadow_evidence"), values).all()
    decisive = TARGET_NAMES.index(DECISIVE)
    known = [np.nan if row.degrees is None else labels(row.degrees)[decisive] for row in rows]
    _, patients = np.unique([row.patient_id for row in rows], return_inverse=True)
    paired = Paired(
        patients.astype(np.int64),
        np.array([row.new for row in rows], dtype=np.float64),
        np.array([row.old for row in rows], dtype=np.float64),
        np.array(known, dtype=np.float32),
        clinical_values([row.age for row in rows], [row.sex for row in rows]),
    )
    return judge_shadow(paired, *(_threshold(connection, of) for of in (version, champion.version)))


def _threshold(connection: Connection, version: str) -> float:
    """Return the threshold at the target that decides; a model without one flags nobody."""
    path = models.c.manifest["thresholds", DECISIVE, "value"].astext
    found = connection.scalar(select(path).where(models.c.version == version))
    return float("inf") if found is None else float(found)


def judge_shadow(paired: Paired, threshold: float, champion_threshold: float) -> Verdict:
    """Judge agreement, mean risk, workload and first outcomes, per patient.

    Too few patients leave the verdict open; too few outcomes do not, as outcomes take months.
    """
    people = len(np.unique(paired.patients))
    if people < MIN_PATIENTS:
        finding = f"{people} patients were scored by both models, at least {MIN_PATIENTS} are needed"
        return Verdict((Check("shadow", Result.CANNOT_TELL, finding),))
    return Verdict(
        (
            _agreement(paired),
            *_levels(paired, threshold, champion_threshold),
            _outcomes(paired),
        )
    )


def _agreement(paired: Paired) -> Check:
    name, columns = "agreement with the champion", (paired.new, paired.old, *paired.clinical.T)
    new, old, age, sex = (_by_patient(paired, of) for of in columns)
    found = rank_agreement(new, old, np.stack([age, sex], axis=1), CERTAIN)
    if found is None:
        return Check(name, Result.FAILED, "the risks of one of the two models do not vary beyond age and sex")
    return Check(
        name,
        Result.PASSED
        if found.lower > MIN_AGREEMENT
        else Result.FAILED
        if found.upper < MIN_AGREEMENT
        else Result.CANNOT_TELL,
        f"rank correlation of the risks of {len(new)} patients, given age and sex, with the champion's "
        f"{found.value:.2f} (90 % interval {found.lower:.2f} to {found.upper:.2f}), must be above "
        f"{MIN_AGREEMENT:g}",
    )


def _levels(paired: Paired, threshold: float, champion_threshold: float) -> Iterator[Check]:
    """Compare mean risk and workload with the champion's."""
    weight = patient_shares(paired.patients)
    new, old = (float(np.average(of, weights=weight)) for of in (paired.new, paired.old))
    yield Check(
        "score distribution",
        _within(new, old, MAX_RISK_FACTOR),
        f"mean risk {new:.3f}, the champion's {old:.3f}, must be within a factor of {MAX_RISK_FACTOR:g}",
    )
    new, old = (
        float(1000 * np.average(of >= at, weights=weight))
        for of, at in ((paired.new, threshold), (paired.old, champion_threshold))
    )
    yield Check(
        "workload in shadow",
        _within(new, old, MAX_WORKLOAD_FACTOR),
        f"{new:.0f} alerts per 1,000 patients, the champion's {old:.0f}, must be within a factor of "
        f"{MAX_WORKLOAD_FACTOR:g}",
    )


def _outcomes(paired: Paired) -> Check:
    known = ~np.isnan(paired.label)
    patients, label = paired.patients[known], paired.label[known]
    cases, controls = (len(np.unique(patients[label == answer])) for answer in (1, 0))
    if min(cases, controls) < MIN_OUTCOMES:
        finding = f"{cases} outcomes with and {controls} without the stenosis, too few to compare"
        return Check("first outcomes", Result.CANNOT_TELL, finding, decides=False)
    weight = patient_shares(patients)
    both = [BinaryPredictions(of[known], label, 0.5, weight) for of in (paired.new, paired.old)]
    difference, error = areas(both, patients).contrast([1.0, -1.0])
    low, high = difference - CERTAIN * error, difference + CERTAIN * error
    return Check(
        "first outcomes",
        Result.FAILED if high < 0 else Result.PASSED,
        f"AUROC differs by {difference:+.3f} (90 % interval {low:+.3f} to {high:+.3f}) from the champion's "
        f"in {len(np.unique(patients))} referred patients, must not be lower for certain",
    )


def _by_patient(paired: Paired, values: Reals) -> Reals:
    """Return each patient's mean."""
    _, patient = np.unique(paired.patients, return_inverse=True)
    return np.asarray(np.bincount(patient, weights=values) / np.bincount(patient))


def _within(new: float, old: float, factor: float) -> Result:
    return Result.PASSED if old / factor <= new <= old * factor else Result.FAILED
