"""Presets and a hospital's own configuration of a training, and what is said of a mistake in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stence import encoders
from stence.errors import ConfigurationError
from stence.fitting.pretraining import PretrainingConfig
from stence.fitting.teacher import TeacherConfig
from stence.models import Sensitivity, Workload
from stence.training import RetrainConfig, SupervisedConfig, load_preset, preset_names
from stence.training.config import PRESETS

DEVIATIONS = {
    "": {"augmented copies"},
    "teacher": {
        "gradient clip",
        "schedule",
        "precision",
        "early stopping",
        "frozen backbone",
        "backbone rate",
    },
    "pretraining": {"decoder start", "stenosis targets", "negatives", "epoch", "checkpoints"},
    "finetuning": {
        "head initialisation",
        "class weights",
        "targets",
        "evaluation windows",
        "training windows",
    },
}
"""Deviations of the preset ``paper`` from the published configuration, by section."""
RATES = {"epochs": 1, "patience": 1, "head_rate": 1, "encoder_rate": 1}


def edited(folder: Path, **sections: object) -> str:
    """The path of a copy of ``small`` with these sections in the place of its own."""
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((PRESETS / "small.yaml").read_text()) | sections))
    return str(path)


def test_there_is_a_preset_of_the_papers_and_one_for_a_cpu() -> None:
    assert preset_names() == ["paper", "small"]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_survives_the_manifest_and_builds_its_encoder(name: str) -> None:
    config = load_preset(name)
    assert RetrainConfig.model_validate_json(config.model_dump_json()) == config
    supervised = config.supervised
    assert SupervisedConfig.model_validate_json(supervised.model_dump_json()) == supervised
    encoder = encoders.build(config.finetuning.encoder, **config.finetuning.encoder_config)
    assert encoder.window_samples == 1500


def test_the_preset_paper_is_as_published() -> None:
    config = load_preset("paper")
    assert config.teacher == TeacherConfig()
    assert config.pretraining == PretrainingConfig()
    tuned = config.finetuning
    assert tuned.batch_size * tuned.accumulation == 80
    assert tuned.augmentation.kind == "reference"
    assert (tuned.weight_decay, tuned.label_smoothing, tuned.warmup_epochs) == (0.05, 0.1, 5)
    assert encoders.build(tuned.encoder, **tuned.encoder_config).config["width"] == 192


def test_the_preset_paper_marks_each_deviation_from_the_publication_with_its_reason() -> None:
    found: dict[str, set[str]] = {section: set() for section in DEVIATIONS}
    for block in re.split(r"\n\n", (PRESETS / "paper.yaml").read_text())[1:]:
        [section] = re.findall(r"^(teacher|pretraining|finetuning):$", block, re.MULTILINE) or [""]
        text = re.sub(r"\n *# +", " ", block)
        for name, reason in re.findall(r"Differs \(([a-z ]+)\): (.*?)(?=Differs|\n|$)", text):
            assert "the authors" in reason, name
            assert "Here" in reason, name
            found[section].add(name)
    assert found == DEVIATIONS


def test_a_hospital_may_bring_a_file_of_its_own(tmp_path: Path) -> None:
    config = load_preset(edited(tmp_path, days_before_study=90, threshold={"at_least": 0.9}))
    assert config.days_before_study == 90
    assert config.threshold == Sensitivity(0.9)
    assert load_preset("small").threshold == Workload(100)


def test_one_seed_is_every_stages_unless_a_stage_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "{seed: 5, backbone: ridges, teacher: {seed: 6}, "
        "finetuning: {epochs: 1, patience: 1, encoder_rate: 1, head_rate: 1}}"
    )
    config = load_preset(str(path))
    stages = (config.teacher, config.pretraining, config.finetuning)
    assert [config.seed, *(stage.seed for stage in stages)] == [5, 6, 5, 5]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"treshold": 3}, "treshold: there is no such key"),
        ({"finetuning": RATES | {"recipe": "published"}}, "no input recipe is published for 'otis'"),
        (
            {"finetuning": RATES | {"encoder": "xecg", "encoder_config": {"window_samples": 1000}}},
            "xecg reads windows of 1000 samples, and the input recipe stence-500hz-3s-1 makes 1500",
        ),
        ({"gate": {"auroc_flor": 0.6}}, "gate.auroc_flor: there is no such key"),
        (
            {"finetuning": {"epochs": 0, "patience": 1, "head_rate": 1, "encoder_rate": 1}},
            "finetuning.epochs: ",
        ),
        (
            {"finetuning": {"epochs": 1, "patience": 1, "head_rate": 1}},
            "finetuning.encoder_rate: Field required",
        ),
        ({"threshold": {"alerts": 3}}, "alerts: there is no such key"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, sections: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_preset(edited(tmp_path, **sections))
    assert said in str(error.value)
    assert "own.yaml is not a training configuration" in str(error.value)


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"", b"- 1", b"!!python/object:os.system {}"])
def test_what_is_no_configuration_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"own.yaml is not"):
        load_preset(str(path))


@pytest.mark.parametrize("name", ["practise", ".", "no/such.yaml", ""])
def test_a_preset_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match="presets: paper, small"):
        load_preset(name)
