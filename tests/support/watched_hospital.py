"""A practice hospital under watch: a trained champion, sound days, and days on which one thing is wrong."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import SecretStr
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from sqlalchemy import Engine, select, text

from stence import database, registry, scoring
from stence.database.tables import flags
from stence.ingest.report_tables import index_reports
from stence.monitoring.alerts import Alert
from stence.monitoring.daily import watch
from stence.objects import ObjectStore, open_store
from stence.progress import Progress, silent
from stence.registry.artefact import WEIGHTS, Artefact
from stence.settings import Settings
from stence.simulation import (
    FEED_FAULTS,
    FeedConfig,
    HospitalConfig,
    simulate,
    simulate_days,
    write_reports,
)
from stence.simulation.ledger import Table
from stence.training import load_preset, train
from support.database import url_of
from support.toy_hospital import LENIENT

SHUFFLED, TURNED = "shuffled-weights", "turned-answer"
"""The faults that lie in the model, beside those of ``FEED_FAULTS``."""


class Sign(NamedTuple):
    """The alert that a fault should raise: its rule, and what of the hospital it is about."""

    rule: str
    about: str | None


SIGNS = {
    "gain-doubled": Sign("device_gain", "Aurum Medical Cardio 200"),
    "v1-v2-swapped": Sign("leads_swapped", "outpatient clinic"),
    "new-device": Sign("new_device", "Boreal Systems Touch 12"),
    "prevalence-doubled": Sign("mix_moved", "indication"),
    SHUFFLED: Sign("model_disagrees", None),
    TURNED: Sign("model_disagrees", None),
    "feed-stopped": Sign("site_feed_stopped", "outpatient clinic"),
    "area-reported": Sign("reports_moved", None),
}


@dataclass(frozen=True)
class Plan:
    """How large a hospital: ``patients`` and ``epochs`` of the training, then days before and under watch."""

    patients: int
    epochs: int
    ecgs_per_day: int
    reference_days: int
    clean_days: int
    first_day: date = date(2026, 7, 1)
    seed: int = 7

    @property
    def watched_days(self) -> list[date]:
        """The sound days that are judged."""
        start = self.first_day + timedelta(days=self.reference_days)
        return [start + timedelta(days=number) for number in range(self.clean_days)]

    @property
    def fault_day(self) -> date:
        """The day after them."""
        return self.first_day + timedelta(days=self.reference_days + self.clean_days)

    def feed(self, first_day: date, days: int, fault: str | None = None) -> FeedConfig:
        """Some of its days."""
        processes = min(2, days)
        return FeedConfig(self.seed, self.ecgs_per_day, first_day, days, fault, processes)


class WatchedHospital:
    """Its databases are on the server of ``admin``, its stores below ``folder``."""

    def __init__(self, admin: Engine, folder: Path, plan: Plan, progress: Progress = silent) -> None:
        self._admin, self._folder, self.plan, self._progress = admin, folder, plan, progress

    def open(self) -> None:
        """Train the champion; let the days before the watch and the sound days pass, scored and reported."""
        artefact, plan = self._train(), self.plan
        with self._place("sound") as (engine, store, settings):
            crown(engine, store, settings, artefact)
            days = plan.feed(plan.first_day, plan.reference_days + plan.clean_days)
            self._pass(engine, store, settings, days)

    def watch(self, day: date) -> list[Alert]:
        """The alerts that a sound day opens."""
        with self._place("sound") as (engine, _, settings):
            return watch(engine, settings, [day], self._progress).opened

    def watch_with(self, fault: str) -> list[Alert]:
        """The alerts that open on a day with a fault after the sound days, which stay as they are."""
        day = self.plan.feed(self.plan.fault_day, 1, fault if fault in FEED_FAULTS else None)
        with self._copied("sound", fault) as (engine, store, settings):
            self._pass(engine, store, settings, day)
            if spoil := MODEL_FAULTS.get(fault):
                crown(engine, store, settings, spoil(champion(engine, store)), only_after=day.first_day)
                score(engine, store, settings)
            return watch(engine, settings, [day.first_day], self._progress).opened

    def _train(self) -> Artefact:
        """A model of patients who were all examined: it takes fewer of them than where only the sick are."""
        with self._place("training") as (engine, store, settings):
            simulate(store, settings, HospitalConfig(self.plan.patients, self.plan.seed), self._progress)
            examine_everyone(store, settings)
            scoring.index(engine, store, settings)
            preset = load_preset("small").supervised
            finetuning = preset.finetuning.model_copy(update={"epochs": self.plan.epochs})
            config = preset.model_copy(
                update={"finetuning": finetuning, "days_before_study": 365, "gate": LENIENT}
            )
            version = train(engine, store, settings, config, self._progress)
            with engine.begin() as connection:
                registry.promote(connection, version, by="test", why="test")
            return champion(engine, store)

    def _pass(self, engine: Engine, store: ObjectStore, settings: Settings, days: FeedConfig) -> None:
        """Days as they are lived: ECGs come, are scored, and who is flagged may be sent to the cath lab."""
        simulate_days(store, settings, days, self._progress)
        scoring.index(engine, store, settings)
        score(engine, store, settings)
        with engine.connect() as connection:
            flagged = set(connection.scalars(select(flags.c.patient_id)))
        write_reports(store, settings, days, flagged, self._progress)
        index_reports(engine, store, settings)

    @contextmanager
    def _copied(self, source: str, name: str) -> Iterator[tuple[Engine, ObjectStore, Settings]]:
        """A hospital with the past of ``source``, of whose store only models and reports are needed on."""
        self._create(name, source)
        for part in ("models", "reports"):
            shutil.copytree(self._folder / source / "store" / part, self._folder / name / "store" / part)
        with self._place(name) as place:
            yield place

    @contextmanager
    def _place(self, name: str) -> Iterator[tuple[Engine, ObjectStore, Settings]]:
        self._create(name, None)
        settings = Settings(
            data_dir=self._folder / name,
            database_url=SecretStr(url_of(self._admin, name)),
            device="cpu",
            reference_days=self.plan.reference_days,
        )
        with database.connect(settings) as engine:
            yield engine, open_store(settings.resolved_store_url, settings), settings

    def _create(self, name: str, template: str | None) -> None:
        found = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")
        with self._admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.scalar(found, {"name": name}):
                quote = connection.dialect.identifier_preparer.quote_identifier
                source = f" TEMPLATE {quote(template)} STRATEGY file_copy" if template else ""
                connection.exec_driver_sql(f"CREATE DATABASE {quote(name)}{source}")


def examine_everyone(store: ObjectStore, settings: Settings) -> None:
    """In place of the cath reports of a simulated hospital: one of each patient, after the last ECG."""
    reports = Table("study_id", "patient_id", "performed_at", "segment", "degree")
    truth = store.get("simulation/truth.csv").decode()
    for number, row in enumerate(csv.DictReader(StringIO(truth))):
        degrees = {segment: row[f"segment_{segment}"] for segment in range(1, 17)}
        for segment, degree in degrees.items():
            reports.rows.append((number, row["patient_id"], "2026-06-30T20:00:00", segment, degree))
    store.put(f"{settings.report_prefix}cath.csv", reports.csv())


def champion(engine: Engine, store: ObjectStore) -> Artefact:
    """The champion's artefact."""
    with engine.connect() as connection:
        found = registry.champion(connection)
    assert found is not None
    return registry.read(store, found.folder, found.sha256)


def crown(
    engine: Engine, store: ObjectStore, settings: Settings, artefact: Artefact, only_after: date | None = None
) -> None:
    """Publish, register and promote a model; it need not score again what was taken before ``only_after``."""
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
        registry.promote(connection, artefact.manifest.model_version, by="test", why="test")
        if only_after:
            connection.execute(SCORED_BEFORE, {"version": artefact.manifest.model_version, "day": only_after})


SCORED_BEFORE = text(
    "INSERT INTO worklist (object_id, model_version, etag, state) "
    "SELECT o.id, :version, o.etag, 'scored' FROM objects AS o JOIN manifest_records AS m USING (record_key) "
    "WHERE m.acquired_at < :day"
)


def shuffled(artefact: Artefact) -> Artefact:
    """The same model with the rows of every weight in another order."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: tensor[torch.randperm(len(tensor), generator=generator)] if tensor.ndim > 1 else tensor
        for name, tensor in load_tensors(artefact.weights).items()
    }
    return _spoilt(artefact, SHUFFLED, tensors)


def turned(artefact: Artefact) -> Artefact:
    """The same model with the sign of its answers turned, as by labels the wrong way round."""
    tensors = load_tensors(artefact.weights)
    return _spoilt(
        artefact, TURNED, tensors | {name: -tensors[name] for name in ("answer.weight", "answer.bias")}
    )


MODEL_FAULTS = {SHUFFLED: shuffled, TURNED: turned}


def _spoilt(artefact: Artefact, version: str, tensors: dict[str, torch.Tensor]) -> Artefact:
    weights = save_tensors(tensors)
    changed = {"model_version": version, "files": {WEIGHTS: hashlib.sha256(weights).hexdigest()}}
    return Artefact(artefact.manifest.model_copy(update=changed), weights)


def score(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    """Let the champion score what it has not scored."""
    scorer = registry.load_champion(engine, store, settings)
    with scoring.open_run(engine, store, settings, scorer) as run:
        while run.score(limit=settings.shard_size):
            pass
