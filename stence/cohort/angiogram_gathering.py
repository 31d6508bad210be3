"""Copy the patch features of a cohort's angiograms into one file, which training maps."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.angiography.features import feature_key, read_features
from stence.angiography.frames import frames_around
from stence.cohort.angiograms import FEATURES, INDEX, Angiograms, read_angiograms
from stence.cohort.pairing import Plan
from stence.cohort.ready import FeatureSet, ReadyView
from stence.concurrency import in_order
from stence.database import queries
from stence.database.outage import transact
from stence.errors import (
    FeatureError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StoreUnavailableError,
)
from stence.files import write_json
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.retry import retry
from stence.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS = "progress.json"
VIEWS_BETWEEN_SAVES = 200


def gather_angiograms(
    plan: Plan, engine: Engine, store: ObjectStore, settings: Settings, folder: Path, progress: Progress
) -> Angiograms:
    """Copy the features of the plan's views into ``folder``, unless the folder is complete.

    A killed run resumes. A view whose features are missing from the store is left out, and its features are
    computed again before the next training. Raises ValueError for a plan without features,
    StoreUnavailableError, DatabaseUnavailableError.
    """
    if plan.features is None:
        raise ValueError("the cohort was planned without angiograms")
    if not (folder / INDEX).exists():
        _Gathering(plan, plan.features, engine, store, settings, folder).run(progress)
    return read_angiograms(folder)


class _Gathering:
    def __init__(
        self,
        plan: Plan,
        features: FeatureSet,
        engine: Engine,
        store: ObjectStore,
        settings: Settings,
        folder: Path,
    ) -> None:
        self._plan, self._features = plan, features
        self._engine, self._store, self._settings, self._folder = engine, store, settings, folder
        self._fingerprint = hashlib.sha256(repr((features, plan.views)).encode()).hexdigest()
        self._kept: list[int] = []
        """Positions in the plan of the views in the file, in file order."""
        self._shape: tuple[int, ...] = (features.versions, features.frames, 0, 0)

    def run(self, progress: Progress) -> None:
        done, views = self._resume(), self._plan.views
        with (self._folder / FEATURES).open("ab") as file:
            read = in_order(self._read, views[done:], self._settings.fetch_threads)
            for place, found in enumerate(read, start=done):
                if found is None:
                    self._forget(views[place])
                else:
                    file.write(found.data)
                    self._kept.append(place)
                    self._shape = found.shape
                if (place + 1) % VIEWS_BETWEEN_SAVES == 0 or place + 1 == len(views):
                    file.flush()
                    os.fsync(file.fileno())
                    self._save(PROGRESS, self._progress(place + 1))
                progress("features", place + 1, len(views))
        self._save(INDEX, self._index())
        (self._folder / PROGRESS).unlink(missing_ok=True)

    def _resume(self) -> int:
        """Return the number of finished views; data written after the last save are dropped."""
        try:
            progress = json.loads((self._folder / PROGRESS).read_text())
        except FileNotFoundError:
            progress = {}
        if progress.get("views") != self._fingerprint:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True, mode=0o700)
            return 0
        self._kept, self._shape = progress["kept"], tuple(progress["shape"])
        size = len(self._kept) * math.prod(self._shape) * np.dtype(np.float16).itemsize
        os.truncate(self._folder / FEATURES, size)
        return int(progress["done"])

    def _progress(self, done: int) -> dict[str, Any]:
        return {"views": self._fingerprint, "done": done, "kept": self._kept, "shape": self._shape}

    def _read(self, view: ReadyView) -> NDArray[np.float16] | None:
        """Read a view's features (versions, frames, tokens, patch_dim); None if any is missing."""
        keys = self._keys(view)
        try:
            found = [self._retry(partial(read_features, self._store, key)) for key in keys]
            return np.stack(found).reshape(self._features.versions, self._features.frames, *found[0].shape)
        except (ObjectNotFoundError, ObjectUnreadableError, FeatureError):
            for key in keys:
                self._retry(partial(self._store.delete, key))
            return None

    def _keys(self, view: ReadyView) -> list[str]:
        """Return the keys of a view's features, version by version and in each by frame."""
        wanted, uid, etag = self._features, view.sop_instance_uid, view.etag
        around = frames_around(view.key_frame, view.frames, wanted.frames)
        return [
            feature_key(self._settings, wanted.backbone, uid, etag, frame, number)
            for number in range(wanted.versions)
            for frame in around
        ]

    def _forget(self, view: ReadyView) -> None:
        values = {"object_id": view.object_id, "backbone": self._features.backbone}
        log.warning("the features of an angiogram were lost or damaged; they are computed again next time")
        forget = queries.statement("forget_features")
        transact(self._engine, self._settings.outage_seconds, Connection.execute, forget, values)

    def _index(self) -> dict[str, Any]:
        """Index without patients' identifiers: studies by their position in the plan, as in StudyTable."""
        numbers = {study.study_id: number for number, study in enumerate(self._plan.studies)}
        views = [self._plan.views[place] for place in self._kept]
        studies, first = [], 0
        for study_id, group in groupby(views, key=attrgetter("study_id")):
            count, study = len(list(group)), self._plan.studies[numbers[study_id]]
            split = self._plan.patients.split_of(study.patient_id)
            about = {"number": numbers[study_id], "first": first, "count": count}
            studies.append(about | {"degrees": study.degrees, "split": split})
            first += count
        angles = [(view.primary_angle, view.secondary_angle) for view in views]
        objects = [view.object_id for view in views]
        return {"studies": studies, "angles": angles, "objects": objects, "shape": self._shape}

    def _save(self, name: str, content: dict[str, Any]) -> None:
        write_json(self._folder / name, content)

    def _retry(self, action: Callable[[], T]) -> T:
        return retry(action, self._settings.outage_seconds, StoreUnavailableError)
