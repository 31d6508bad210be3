"""A retraining that trains the last block of the backbone, and reads two frames of a view."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load
from sqlalchemy import Engine

from stence import cohort, scoring
from stence.angiography.indexing import index_angiograms
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings
from stence.training import STAGES, RetrainConfig, open_retraining
from stence.training.retrain import Candidate
from stence.training.stages import TEACHER, TrainingWorkspace
from support.finetuning import DEPTH, GRID, WIDTH, put_tiny_dinov2, tiny_blocks
from support.toy_hospital import QUICK, ToyHospital

pytestmark = pytest.mark.slow

CONFIG = yaml.safe_load(QUICK.replace("epochs: 8", "epochs: 2")) | {
    "backbone": "dinov2-vits14",
    "frames_per_view": 2,
}
CONFIG["teacher"] |= {"finetune_blocks": 1, "backbone_rate": 1e-3}
PATIENTS = 160


class KilledError(Exception):
    """Stands for the end of the process."""


def killing_at(stage: str, done: int) -> Progress:
    def progress(at: str, count: int, total: int | None = None, note: str = "") -> None:
        if (at, count) == (stage, done):
            raise KilledError

    return progress


class Lab:
    """A hospital whose backbone is tiny, and the steps of its retraining."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings) -> None:
        self.engine, self.store, self.settings = engine, store, settings
        self.told: list[tuple[str, int]] = []

    def fill(self) -> None:
        put_tiny_dinov2(self.store, self.settings)
        hospital = ToyHospital(self.store, PATIENTS)
        hospital.add_angiograms(text="")
        hospital.write()
        scoring.index(self.engine, self.store, self.settings)
        cohort.index_reports(self.engine, self.store, self.settings)
        index_angiograms(self.engine, self.store, self.settings)

    def tell(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        self.told.append((stage, done))

    def retrain(self, progress: Progress = silent) -> tuple[Candidate, TrainingWorkspace]:
        config = RetrainConfig.model_validate(CONFIG)
        with open_retraining(self.engine, self.store, self.settings, "tiny", config, progress) as training:
            inputs = training.prepare()
            workspace = training.gather(inputs)
            for stage in STAGES:
                training.train(workspace, stage)
            self.check_features(workspace)
            candidate = training.evaluate(workspace, inputs)
            training.publish(workspace, candidate)
            return candidate, workspace

    def check_features(self, workspace: TrainingWorkspace) -> None:
        """All that comes after the teacher reads features of the blocks as the teacher trained them."""
        states, features = workspace.prepared_angiograms.features, workspace.angiograms.features
        assert states.shape[1:] == (2, 2, 1 + GRID**2, WIDTH)
        assert features.shape == (*states.shape[:3], GRID**2, WIDTH)
        trained = tiny_blocks()
        first = trained(torch.from_numpy(np.array(states[:5]))).detach().numpy()
        trained.load_state_dict(workspace.backbone().state_dict())
        last = trained(torch.from_numpy(np.array(states[:5]))).detach().numpy()
        np.testing.assert_allclose(features[:5], last, atol=1e-2)
        assert not np.allclose(first, last, atol=1e-2), "the blocks have not learned"


def test_the_blocks_become_part_of_the_teacher_and_a_kill_costs_no_stage(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    lab = Lab(engine, store, settings)
    lab.fill()
    with suppress(KilledError):
        lab.retrain(killing_at("fine-tuned features", 3))
    candidate, _ = lab.retrain(lab.tell)
    stages = [stage for stage, _ in lab.told]
    assert TEACHER not in stages, "the teacher was trained again"
    assert ("fine-tuned features", 4) in lab.told
    assert ("fine-tuned features", 3) not in lab.told

    manifest = candidate.artefact.manifest
    assert manifest.training_config["teacher"]["finetune_blocks"] == 1
    origin = manifest.training_run["weights"]["angiogram backbone"]
    assert origin.startswith("dinov2-vits14, SHA-256 ")
    assert origin.endswith("its last 1 blocks are trained with the teacher")
    [key] = [key for key in manifest.training_run["stage_weights"] if key.endswith("teacher.safetensors")]
    kept = {
        name.removeprefix("backbone/"): tensor
        for name, tensor in load(store.get(key)).items()
        if name.startswith("backbone/")
    }
    assert kept.keys() == tiny_blocks().state_dict().keys()
    assert all(f".layer.{DEPTH - 1}." in name for name in kept if ".layer." in name)

    card = store.get(next(key for key in manifest.card if key.endswith("card.md"))).decode()
    assert "3 frames are not shown here: their files do not state" in card
    assert not [key for key in manifest.card if key.endswith("attention.png")]
