"""Run a validation: gather, measure, write the report into the store, and record it in the database."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

import stence
from stence import registry
from stence.cohort import Plan, plan_cohort
from stence.database.outage import transact
from stence.database.tables import validations
from stence.device import device_of
from stence.domain.targets import DECISIVE
from stence.errors import NoLabelledPatientsError
from stence.evaluation.pictures import pictures
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry import Manifest, Registered
from stence.settings import Settings
from stence.validation import measuring
from stence.validation.config import ValidationConfig
from stence.validation.gathering import Gathered, gather
from stence.validation.report import report_page
from stence.validation.unseen import seen_by

DAYS_BEFORE_STUDY = 30.0
"""For manifests whose training configuration names no other."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A finished validation: its number, its figures as JSON, and the key of its page in the store."""

    number: uuid.UUID
    figures: Mapping[str, Any]
    report_key: str
    page: bytes


def validate(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    version: str,
    config: ValidationConfig | None = None,
    progress: Progress = silent,
) -> Validation:
    """Measure a model as it is on labelled ECGs of patients that it did not learn from.

    Thresholds and calibration are the model's own; nothing is fitted. The report (HTML, JSON) goes into the
    store, the figures also into the table ``validations``. Neither names a patient. Raises
    NoLabelledPatientsError if no ECG is left, StenceError if the model was trained here although the
    configuration says elsewhere, RegistryError for an unknown version, ArtefactError for a damaged one,
    StoreUnavailableError, DatabaseUnavailableError.
    """
    config = config or ValidationConfig()
    found = transact(engine, settings.outage_seconds, registry.find, version)
    artefact = registry.read(store, found.folder, found.sha256)
    manifest, scorer = artefact.manifest, registry.scorer(artefact, device_of(settings))
    days = float(manifest.training_config.get("days_before_study", DAYS_BEFORE_STUDY))
    plan = plan_cohort(engine, store, settings, days, progress)
    seen = seen_by(manifest, plan, engine, settings, trained_elsewhere=config.trained_elsewhere)
    gathered = gather(plan, seen, scorer, engine, store, settings, config, progress)
    _check_found(gathered)
    number = uuid.uuid4()
    figures = _figures(number, manifest, found, config, settings, plan, gathered) | {
        "days_before_study": days
    }
    predicted, _ = measuring.decisive(gathered, manifest.thresholds)
    drawn = {} if "cannot_tell" in figures["targets"][DECISIVE] else pictures(predicted)
    page = report_page(figures, drawn).encode()
    folder = f"{settings.validation_prefix}{version}/{number}/"
    content = {"report.json": json.dumps(figures, indent=2).encode(), "report.html": page}
    files = {}
    for name, data in content.items():
        store.put(folder + name, data)
        files[folder + name] = hashlib.sha256(data).hexdigest()
    validation = Validation(number, figures, f"{folder}report.html", page)
    transact(engine, settings.outage_seconds, _record, validation, files, config, settings)
    return validation


def _check_found(gathered: Gathered) -> None:
    if gathered.ecgs.used:
        return
    left_out = ", ".join(f"{reason} {count}" for reason, count in gathered.ecgs.left_out.items())
    patients = ", ".join(f"{reason} {count}" for reason, count in gathered.patients.left_out.items())
    raise NoLabelledPatientsError(
        f"No ECG is left to validate on, of {gathered.ecgs.candidates}: {left_out or 'there is none'}. "
        f"Patients with a cath study: {gathered.patients.candidates}, of whom {patients or 'none'}."
    )


def _figures(
    number: uuid.UUID,
    manifest: Manifest,
    found: Registered,
    config: ValidationConfig,
    settings: Settings,
    plan: Plan,
    gathered: Gathered,
) -> dict[str, Any]:
    """Return the whole report as JSON. Every number on the page is taken from here."""
    thresholds, count = manifest.thresholds, config.bootstrap_resamples
    figures: dict[str, Any] = {
        "format": 1,
        "validation": str(number),
        "ran_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "stence": stence.__version__,
        "timezone": settings.timezone,
        "model": {
            "version": manifest.model_version,
            "manifest_sha256": found.sha256,
            "made_at": manifest.created_at.isoformat(timespec="seconds"),
            "encoder": manifest.architecture.encoder,
            "clinical": manifest.architecture.clinical,
            "preprocessing": manifest.preprocessing.version,
            "thresholds": {name: asdict(each) for name, each in thresholds.items()},
            "split": manifest.training_run.get("split", {}),
            "trained_patients": manifest.training_data.patients,
            "card": {key: manifest.metrics.get(DECISIVE, {}).get(key) for key in CARD},
        },
        "options": config.model_dump(mode="json"),
        "flow": {
            "ecgs": asdict(gathered.ecgs),
            "patients": asdict(gathered.patients),
            "reports": {name: n for name, n in sorted(plan.left_out.items()) if not name.startswith("ecg_")},
            "new_patients": len(set(gathered.predictions.patients[gathered.new].tolist())),
        },
        "missing": measuring.missing(gathered),
        "characteristics": measuring.characteristics(gathered),
        "targets": measuring.targets(gathered, thresholds, config),
        "subgroups": measuring.subgroups(gathered, thresholds, config),
        "pretest": measuring.pretest(gathered, config),
        "calibration_curve": [],
        "net_benefit": [],
    }
    if "cannot_tell" not in figures["targets"][DECISIVE]:
        predicted, patients = measuring.decisive(gathered, thresholds)
        figures["calibration_curve"] = measuring.calibration_curve(predicted, patients)
        figures["net_benefit"] = measuring.net_benefit(predicted, patients, count)
    return figures


CARD = ("auroc", "calibration_slope", "calibration_error", "prevalence", "patients")
"""Figures of the model card that the report repeats for comparison."""


def _record(
    connection: Connection,
    validation: Validation,
    files: Mapping[str, str],
    config: ValidationConfig,
    settings: Settings,
) -> None:
    start, end = config.window(settings.timezone)
    figures = validation.figures
    row = {
        "id": validation.number,
        "model_version": figures["model"]["version"],
        "ran_at": datetime.fromisoformat(figures["ran_at"]),
        "window_start": start,
        "window_end": end,
        "sites": list(config.sites),
        "ecgs": figures["flow"]["ecgs"]["used"],
        "patients": figures["flow"]["patients"]["used"],
        "figures": figures,
        "report_key": validation.report_key,
        "files": dict(files),
        "code_version": stence.__version__,
    }
    connection.execute(insert(validations).values(row).on_conflict_do_nothing())
