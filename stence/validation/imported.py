"""Judge a model that another hospital trained, on this hospital's own patients."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine

from stence.domain.checks import Check, Result, Verdict
from stence.domain.targets import DECISIVE
from stence.errors import NoLabelledPatientsError
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings
from stence.validation.config import ValidationConfig
from stence.validation.run import validate
from stence.validation.words import figure

NAME = "own patients"
CHANCE = 0.5
"""AUROC of a model that says nothing."""


def judge_imported(
    engine: Engine, store: ObjectStore, settings: Settings, version: str, progress: Progress = silent
) -> Verdict:
    """Validate a model on all labelled patients, as it has learned from none of them.

    Passed: its AUROC for the decisive target is above chance for certain. Failed: it is not above chance for
    certain, nor can it be. Otherwise, and without enough patients, the data cannot tell.
    Raises ArtefactError, StoreUnavailableError, DatabaseUnavailableError.
    """
    config = ValidationConfig(trained_elsewhere=True)
    try:
        found = validate(engine, store, settings, version, config, progress).figures["targets"][DECISIVE]
    except NoLabelledPatientsError as error:
        return Verdict((Check(NAME, Result.CANNOT_TELL, str(error)),))
    if "cannot_tell" in found:
        return Verdict((Check(NAME, Result.CANNOT_TELL, found["cannot_tell"]),))
    return Verdict((Check(NAME, against_chance(found["auroc"]), f"AUROC {figure(found['auroc'])} here"),))


def against_chance(auroc: Mapping[str, float]) -> Result:
    """Compare the 95 % interval of an AUROC with chance."""
    if auroc["lower"] > CHANCE:
        return Result.PASSED
    return Result.FAILED if auroc["upper"] < CHANCE else Result.CANNOT_TELL
