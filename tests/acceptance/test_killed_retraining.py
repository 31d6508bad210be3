"""kill -9 in any step of a retraining: the same command goes on, and nobody ever sees half a model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, func, select, text

from stence import registry
from stence.database.tables import angiogram_views, models, training_runs
from stence.fitting.checkpoint import read
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from stence.training import load_preset
from support.champion import crown
from support.retraining import retrain
from support.toy_hospital import PATIENTS, QUICK, ToyHospital

pytestmark = pytest.mark.slow

STENCE = Path(sys.executable).with_name("stence")
CHAMPION = "model-7"
EPOCHS = 8
STEPS = ("prepare", "gather", "teacher", "pretraining", "finetuning", "judge", "publish")
SECONDS = 120
"""For any step on a slow machine."""


class Command:
    """``stence retrain`` as a person starts it."""

    def __init__(self, preset: Path, environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [STENCE, "retrain", "--preset", str(preset)],
            env=environment,
            cwd=preset.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines += (line.rstrip() for line in self.process.stdout)

    def said(self) -> str:
        return "\n".join(self.lines)

    def kill_when(self, moment: Callable[[], bool]) -> None:
        """SIGKILL, to this one process alone; those that it started must end by themselves."""
        deadline = time.monotonic() + SECONDS
        while not moment():
            assert self.process.poll() is None, f"it ended before it could be killed: {self.said()}"
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.005)
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.end()
        assert not psutil.wait_procs(children, timeout=20)[1], "a process outlived its parent"

    def end(self) -> int:
        status = self.process.wait(SECONDS)
        self._reader.join()
        return status


class Trial:
    """A hospital whose training is killed again and again."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings, api_url: str) -> None:
        self.engine, self.store, self.settings = engine, store, settings
        self.commands: list[Command] = []
        self.preset = settings.data_dir / "quick.yaml"
        self.preset.write_text(QUICK)
        assert settings.database_url is not None
        self._environment = os.environ | {
            "STENCE_DATA_DIR": str(settings.data_dir),
            "STENCE_DATABASE_URL": settings.database_url.get_secret_value(),
            "STENCE_DEVICE": "cpu",
            "STENCE_LEASE_SECONDS": "2",
            "STENCE_MIN_NEW_PAIRS": "1",
            "STENCE_WINDOWS_PER_ECG": str(settings.windows_per_ecg),
            "OMP_NUM_THREADS": "1",
            "PREFECT_API_URL": api_url,
        }

    def start(self) -> Command:
        self.commands.append(Command(self.preset, self._environment))
        return self.commands[-1]

    def kill(self, step: str, moment: Callable[[Command], bool]) -> str:
        """Start the command and kill it at this moment, in this step; what it had said."""
        command = self.start()
        command.kill_when(lambda: moment(command))
        assert self.runs()[-1] == ("running", step)
        assert {version: state for version, (state, _) in self.registered().items()} == {CHAMPION: "champion"}
        return command.said()

    def kill_in_stage(self, stage: str) -> tuple[str, str]:
        """Kill it some epochs into a stage; what it had said, and what the next one must say."""
        said = self.kill(stage, lambda command: f"{stage} 2/{EPOCHS}" in command.said())
        (saved,) = self.settings.data_dir.glob(f"training/*/{stage}.checkpoint.safetensors")
        found = read(saved)
        assert found is not None
        epochs, steps = found[1]["epochs"], found[1]["steps"]
        assert 2 <= epochs < EPOCHS
        assert steps > epochs
        return said, f"{epochs}/{EPOCHS} resumed at epoch {epochs} (step {steps})"

    def runs(self) -> list[tuple[str, str]]:
        """State and step of every run."""
        rows = select(training_runs.c.state, training_runs.c.stage).order_by(training_runs.c.started_at)
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(rows)]

    def is_at(self, step: str) -> bool:
        return self.runs()[-1:] == [("running", step)]

    def ready_views(self) -> int:
        ready = select(func.count()).where(angiogram_views.c.state == "ready")
        with self.engine.connect() as connection:
            return int(connection.scalar(ready) or 0)

    def registered(self) -> dict[str, tuple[str, bytes]]:
        """State and weights of every version, each of which is read and verified."""
        rows = select(models.c.version, models.c.state, models.c.folder, models.c.sha256)
        with self.engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(rows)]
        artefacts = {version: registry.read(self.store, *place) for version, _, *place in found}
        for artefact in artefacts.values():
            registry.scorer(artefact, "cpu")
        return {version: (state, artefacts[version].weights) for version, state, *_ in found}

    def retrained_in_peace(self) -> bytes:
        """The weights that come of the same training in one go, in this process."""
        settings = self.settings.model_copy(update={"min_new_pairs": 0})
        version = retrain(self.engine, self.store, settings, "quick", load_preset(str(self.preset)))
        assert version is not None
        return self.registered()[version][1]


@contextmanager
def models_locked(engine: Engine) -> Iterator[None]:
    """Nobody can write to the table of models."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))
        yield


def said_by_stages(said: str) -> str:
    """The lines that tell of a stage's epochs."""
    return "\n".join(line for line in said.splitlines() if re.search(rf"\d/{EPOCHS} ", line))


@pytest.fixture
def trial(engine: Engine, settings: Settings, prefect_database: Path) -> Iterator[Trial]:
    from prefect.settings import PREFECT_API_URL

    store = open_store(settings.resolved_store_url, settings)
    crown(engine, store, settings, CHAMPION)
    hospital = ToyHospital(store)
    hospital.add_angiograms()
    hospital.write()
    narrow = settings.model_copy(update={"windows_per_ecg": 2})  # as the champion's
    trial = Trial(engine, store, narrow, PREFECT_API_URL.value())
    yield trial
    for command in trial.commands:
        command.process.kill()
        command.end()


def test_killed_in_every_step_it_ends_as_if_it_had_not_been(trial: Trial) -> None:
    data_dir = trial.settings.data_dir
    trial.kill("prepare", lambda _: trial.ready_views() >= 5)
    assert trial.ready_views() < PATIENTS
    trial.kill("gather", lambda _: any(data_dir.glob("training/*/angiograms/*")))
    assert trial.ready_views() == PATIENTS

    said, expected = trial.kill_in_stage("teacher")
    for stage, before in (("pretraining", "teacher"), ("finetuning", "pretraining")):
        said, following = trial.kill_in_stage(stage)
        assert f"{before} {expected}" in said
        assert f"{before} 1/{EPOCHS}" not in said
        expected = following
    said = trial.kill("judge", lambda _: trial.is_at("judge"))
    assert f"finetuning {expected}" in said
    assert "pretraining" not in said_by_stages(said)
    with models_locked(trial.engine):  # it cannot register what it has written
        said = trial.kill("publish", lambda _: any(data_dir.glob("store/models/otis-*/manifest.json")))
    assert said_by_stages(said) == ""

    command = trial.start()
    assert command.end() == 0, command.said()
    *killed, last = trial.runs()
    assert killed == [("abandoned", step) for step in STEPS]
    assert last == ("finished", "publish")
    ((version, (state, weights)),) = (
        (version, found) for version, found in trial.registered().items() if version != CHAMPION
    )
    assert state in {"shadow", "rejected"}
    assert state in command.said()
    assert version in command.said()
    assert trial.retrained_in_peace() == weights
    assert not list((data_dir / "training").iterdir())
