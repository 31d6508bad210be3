"""The data of a study: gathered once, then used unchanged by all its trainings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from stence import cohort as cohorts
from stence import scoring
from stence.angiography.backbones import open_backbone
from stence.angiography.indexing import index_angiograms
from stence.angiography.views import prepare_views
from stence.cohort import Angiograms, Cohort, FeatureSet, Part, Split
from stence.device import device_of
from stence.ecg.recipes import Recipe
from stence.errors import ConfigurationError
from stence.files import write_json
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings
from stence.study.config import StudyConfig
from stence.study.steps import held

DATA = "data.json"
COHORT, ANGIOGRAMS = "cohort", "angiograms"


@dataclass(frozen=True)
class Data:
    """Snapshot of the hospital's ECGs and angiograms at the time of gathering."""

    cohorts: Mapping[str, Cohort]
    """Cohorts by recipe version; ECGs too short for a recipe are not in its cohort."""
    angiograms: Angiograms
    gathered_at: datetime

    def part(self, split: Split, recipe: Recipe) -> Part:
        """Return the ECGs of a split, prepared by a recipe."""
        return self.cohorts[recipe.version].parts[split]

    @property
    def fingerprint(self) -> str:
        """Fingerprints of all cohorts, joined."""
        return "-".join(sorted(cohort.fingerprint for cohort in self.cohorts.values()))


def gathered(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    config: StudyConfig,
    folder: Path,
    progress: Progress,
) -> Data:
    """Index and gather all data into ``folder``, unless this was done before. Return the gathered data.

    Raises ConfigurationError if the data were gathered with other settings than ``config``, StenceError if
    there are no cath reports, StoreUnavailableError, DatabaseUnavailableError.
    """
    with held(folder / f"{DATA}.lock", wait=True):
        if not (folder / DATA).exists():
            _gather(engine, store, settings, config, folder, progress)
    found = json.loads((folder / DATA).read_text())
    _check(found["how"], _gathering_settings(settings, config), folder)
    place = folder / found["folder"]
    return Data(
        {recipe.version: cohorts.read_cohort(_folder(place, recipe)) for recipe in config.recipes},
        cohorts.read_angiograms(place / ANGIOGRAMS),
        datetime.fromisoformat(found["gathered_at"]),
    )


def _gather(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    config: StudyConfig,
    folder: Path,
    progress: Progress,
) -> None:
    scoring.index(engine, store, settings, progress)
    cohorts.index_reports(engine, store, settings, progress)
    index_angiograms(engine, store, settings, progress)
    backbone = open_backbone(config.backbone, store, settings, device_of(settings))
    features = FeatureSet(backbone.version, 1 + config.augmented_copies)
    prepare_views(engine, store, settings, backbone, features.versions, progress)
    plan = cohorts.plan_cohort(engine, store, settings, config.days_before_study, progress, features)
    place = folder / f"data-{plan.fingerprint[:16]}"
    for other in folder.glob("data-*"):  # left by a killed gathering of earlier data
        if other != place:
            shutil.rmtree(other)
    place.mkdir(exist_ok=True, mode=0o700)
    for recipe in config.recipes:
        cohorts.gather(plan, engine, store, settings, _folder(place, recipe), progress, recipe)
    cohorts.gather_angiograms(plan, engine, store, settings, place / ANGIOGRAMS, progress)
    found = {
        "folder": place.name,
        "gathered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "how": _gathering_settings(settings, config),
    }
    write_json(folder / DATA, found, indent=2)


def _folder(place: Path, recipe: Recipe) -> Path:
    return place / f"{COHORT}-{recipe.version}"


def _gathering_settings(settings: Settings, config: StudyConfig) -> dict[str, Any]:
    """Return the settings that the gathered data depend on."""
    return {
        "days_before_study": config.days_before_study,
        "backbone": config.backbone,
        "augmented_copies": config.augmented_copies,
        "windows_per_ecg": settings.windows_per_ecg,
        "recipes": sorted(recipe.version for recipe in config.recipes),
    }


def _check(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    changed = [
        f"{key} was {before.get(key)}, is {value}" for key, value in now.items() if before.get(key) != value
    ]
    if changed:
        raise ConfigurationError(
            f"The data in {folder} were gathered with other settings: {'; '.join(changed)}. "
            "Give the study another name, or remove that folder."
        )
