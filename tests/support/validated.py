"""A registered model, and a hospital whose patients it has or has not seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence import registry
from stence.objects import ObjectStore
from stence.registry import Artefact
from stence.settings import Settings
from support.artefacts import make_artefact
from support.ecgs import store_ecg
from support.toy_hospital import ToyHospital, is_ill, toy_ecg

CARD = {"stenosis_70": {"auroc": {"value": 0.75, "lower": 0.7, "upper": 0.8}, "patients": 300}}
OLD, NEW = datetime(2026, 3, 1, 10), datetime(2026, 5, 1, 10)
"""Times of studies before and after the model was made."""
MADE = datetime(2026, 4, 1, tzinfo=UTC)


def register(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    made_at: datetime = MADE,
    by: str = "test",
    name: str = "tiny-1",
    **run: Any,
) -> str:
    """Publish and register an untrained model made at a time; return its version. ``run``: training_run."""
    made = make_artefact(name)
    changes = {"created_at": made_at, "metrics": CARD, "training_run": run}
    artefact = Artefact(made.manifest.model_copy(update=changes), made.weights)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by=by, why="test")
    return name


class Hospital(ToyHospital):
    """Patients with ECGs at times and sites of their own."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, patients=0)
        self.lines: list[str] = []

    def add(
        self,
        patient: str,
        at: datetime,
        *,
        ill: bool,
        site: str = "",
        ecgs: int = 1,
        comments: tuple[str, ...] = (),
    ) -> None:
        """A study, and ``ecgs`` ECGs at a site on the days before it."""
        self.reports.append(f"S{len(self.reports)},{patient},{at.isoformat()},6,{95 if ill else 10}")
        for _ in range(ecgs):
            number = len(self.lines)
            store_ecg(self.store, f"ecg/{number}.hea", toy_ecg(number, ill=ill), comments=comments)
            taken = at.replace(hour=at.hour - 1, minute=number % 60)
            self.lines.append(f"{patient},{number},,{taken.isoformat()},{number},{site},chest pain")

    def add_file(self, name: str, patient: str, at: datetime, signal: NDArray[np.int16]) -> None:
        """A further ECG of a patient."""
        store_ecg(self.store, f"ecg/{name}.hea", signal)
        self.lines.append(f"{patient},0,,{at.isoformat()},{name},north,")

    def fill(self, prefix: str, at: datetime, count: int, site: str = "") -> None:
        """Patients of alternating outcome, men in their sixties."""
        for number in range(count):
            comments = (f"Age: {60 + number % 10}", "Sex: M")
            self.add(f"{prefix}{number}", at, ill=is_ill(number), site=site, comments=comments)

    def write(self) -> None:
        head = "subject_id,study_id,file_name,ecg_time,path,site,indication"
        self.store.put("ecg/record_list.csv", "\n".join([head, *self.lines, ""]).encode())
        self.store.put("reports/cath.csv", ("\n".join(self.reports) + "\n").encode())
