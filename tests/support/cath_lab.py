"""A store with cath reports and angiograms, and what stence makes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from stence import cohort
from stence.angiography.features import feature_key
from stence.angiography.indexing import index_angiograms
from stence.angiography.views import prepare_views
from stence.cohort import FeatureSet
from stence.cohort.ready import ReadyView
from stence.database import queries
from stence.database.tables import angiogram_views, objects, quarantine
from stence.objects import ObjectStore
from stence.progress import silent
from stence.settings import Settings
from support.angiograms import NOON, Blocks

HEADER = "study_id,patient_id,performed_at,segment,degree\n"
VERSIONS = 3


class CathLab:
    """A store with reports and angiograms, and what stence makes of it."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings) -> None:
        self.engine, self.store, self.settings = engine, store, settings
        self.rows: list[str] = []

    def report(self, study: str, patient: str, at: datetime = NOON, degree: int = 80) -> None:
        self.rows.append(f"{study},{patient},{at.isoformat()},6,{degree}\n")
        self.store.put("reports/cath.csv", (HEADER + "".join(self.rows)).encode())

    def put(self, name: str, content: bytes) -> None:
        self.store.put(f"angio/{name}", content)

    def index(self) -> dict[str, int]:
        cohort.index_reports(self.engine, self.store, self.settings)
        return index_angiograms(self.engine, self.store, self.settings).as_dict()

    def prepare(self, versions: int = VERSIONS, progress: Any = silent, frames: int = 1) -> int:
        return prepare_views(self.engine, self.store, self.settings, Blocks(), versions, progress, frames)

    def plan(self, frames: int = 1) -> cohort.Plan:
        features = FeatureSet(Blocks.version, VERSIONS, frames)
        return cohort.plan_cohort(self.engine, self.store, self.settings, 30, silent, features)

    def gather(self, progress: Any = silent, frames: int = 1) -> cohort.Angiograms:
        folder, plan = self.settings.data_dir / "gathered", self.plan(frames)
        return cohort.gather_angiograms(plan, self.engine, self.store, self.settings, folder, progress)

    def features_of(self, view: ReadyView, frame: int, version: int) -> str:
        """Key of the features of a frame of a view."""
        uid = view.sop_instance_uid
        return feature_key(self.settings, Blocks.version, uid, view.etag, frame, version)

    def states(self) -> dict[str, str]:
        """State by name of the file, or the reason where it is in quarantine."""
        reason = select(quarantine.c.reason).where(
            quarantine.c.object_id == objects.c.id, quarantine.c.state == "open"
        )
        statement = select(
            objects.c.key, func.coalesce(reason.scalar_subquery(), angiogram_views.c.state)
        ).join(angiogram_views)
        with self.engine.connect() as connection:
            return {key.removeprefix("angio/"): state for key, state in connection.execute(statement)}

    def studies(self) -> dict[str, str | None]:
        statement = select(objects.c.key, angiogram_views.c.study_id).join(angiogram_views)
        with self.engine.connect() as connection:
            return {key.removeprefix("angio/"): study for key, study in connection.execute(statement)}

    def ask(self, name: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            columns, rows = queries.run(connection, name, {})
        return [dict(zip(columns, row, strict=True)) for row in rows]
