"""A training in several processes, by torchrun: it goes on, ends with its parent, and says what failed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import yaml
from sqlalchemy import Engine

from stence import cohort, scoring
from stence.angiography.indexing import index_angiograms
from stence.errors import StenceError
from stence.fitting.loop import TrainingHistory
from stence.objects import open_store
from stence.settings import Settings
from stence.training import RetrainConfig, open_retraining
from stence.training.stages import FINETUNING, PRETRAINING, TEACHER
from support.toy_hospital import QUICK, ToyHospital

pytestmark = pytest.mark.slow

PARENT = """
import sys
from pathlib import Path
from stence.training.processes import run_in_processes

def tell(stage, done, total=None, note=""):
    print(stage, done, flush=True)

run_in_processes("teacher", Path(sys.argv[1]), "cpu", 2, tell)
"""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def training(
    engine: Engine, settings: Settings, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], TrainingHistory]]:
    """The stages of a training in two processes whose data is gathered."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store = open_store(settings.resolved_store_url, settings)
    hospital = ToyHospital(store)
    hospital.add_angiograms()
    hospital.write()
    scoring.index(engine, store, settings)
    cohort.index_reports(engine, store, settings)
    index_angiograms(engine, store, settings)
    config = RetrainConfig.model_validate(yaml.safe_load(QUICK))
    two = settings.model_copy(update={"training_processes": 2})

    def progress(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        told.append(f"{stage} {done}/{total} {note}")

    with open_retraining(engine, store, two, "quick", config, progress) as training:
        yield partial(training.train, training.gather(training.prepare()))


def test_two_processes_end_with_their_parent_and_go_on_from_their_checkpoint(
    training: Callable[[str], TrainingHistory], settings: Settings, told: list[str]
) -> None:
    (folder,) = (settings.data_dir / "training").iterdir()
    kill_at_second_epoch(folder)
    assert (folder / f"{TEACHER}.checkpoint.safetensors").exists()

    history = training(TEACHER)
    assert history.epochs == 8
    resumed, *epochs = [line for line in told if line.startswith(TEACHER)]
    assert "resumed at epoch" in resumed
    assert len(epochs) < history.epochs
    assert training(PRETRAINING).judged_epochs == [2, 4, 6, 8]
    assert training(FINETUNING).steps > 0
    told.clear()
    assert training(TEACHER) == history
    assert told == [], "a stage that was done is done again"


def kill_at_second_epoch(folder: Path) -> None:
    """SIGKILL for a process that trains with two others, which must end with it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert parent.stdout is not None
    assert next(line for line in parent.stdout if line.startswith("teacher 2"))
    processes = psutil.Process(parent.pid).children(recursive=True)
    assert len(processes) >= 3, "torchrun and two workers"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert not psutil.wait_procs(processes, timeout=30)[1], "a process outlived its parent"


def test_what_fails_in_a_process_is_told(
    training: Callable[[str], TrainingHistory], settings: Settings
) -> None:
    (folder,) = (settings.data_dir / "training").iterdir()
    (folder / f"{TEACHER}.checkpoint.safetensors").write_bytes(b"nothing of use")
    with pytest.raises(StenceError, match="is not a training checkpoint"):
        training(TEACHER)
