"""Fine-tuning: what it asks of whom, what may change, and that a kill changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stence import encoders
from stence.cohort import Cohort, Part, Split, StudyTable
from stence.domain.targets import labels
from stence.ecg import preprocess
from stence.encoders import Encoder
from stence.errors import StenceError, WeightsError
from stence.evaluation.predictions import Predictions
from stence.fitting.finetuning import ecg_logits, first_encoder, first_model, fit
from stence.fitting.fractions import label_share
from stence.fitting.loop import TrainingHistory
from stence.fitting.tasks import TREE, BinaryTask, Task
from stence.models import TARGET_NAMES, Calibration, RiskModel, Threshold
from stence.progress import silent
from stence.training import SupervisedConfig, TrainingConfig, load_preset, populations
from stence.training.evaluation import verdict_on
from stence.training.populations import Logits, Populations
from stence.training.publishing import Fitted, finish
from stence.training.stages import TrainingWorkspace
from stence.training.supervised import check_size
from support.ecgs import heartbeats
from support.unreferred import nobody

SEVERE = BinaryTask(70, 70)
TINY = {"width": 16, "depth": 1, "heads": 1}
CONFIG = TrainingConfig(
    encoder_config=TINY,
    epochs=3,
    warmup_epochs=1,
    patience=3,
    batch_size=8,
    encoder_rate=5e-3,
    head_rate=5e-3,
)


def changed(**fields: object) -> TrainingConfig:
    return TrainingConfig.model_validate(CONFIG.model_dump() | fields)


def part_of(worst: list[float], patients: list[int], signals: NDArray[np.float32] | None = None) -> Part:
    """ECGs of ``patients`` whose sixth segment, the proximal LAD, is narrowed by ``worst`` percent."""
    n = len(worst)
    degrees = np.zeros((n, 16), np.float32)
    degrees[:, 5] = worst
    return Part(
        contents=tuple(map(str, range(n))),
        patients=np.array(patients),
        studies=np.arange(n),
        labels=np.stack([labels(row.tolist()) for row in degrees]),
        degrees=degrees,
        sex=np.full(n, ""),
        age=np.full(n, np.nan),
        samples=np.full(n, 5000),
        rows=np.arange(n),
        signals=np.zeros((n, 12, 5000), np.float32) if signals is None else signals,
    )


def ecgs(seed: int, worst: list[float]) -> NDArray[np.float32]:
    """In mV; stenosis turns the chest leads upside down."""
    signals = np.stack([heartbeats(seed + number) for number in range(len(worst))]) / np.float32(1000)
    signals[:, 6:] *= np.where(np.array(worst) >= 70, -1, 1)[:, None, None]
    return signals.astype(np.float32)


WORST = [10.0, 95.0] * 16


@pytest.fixture(scope="module")
def train() -> Part:
    return part_of(WORST, [number // 4 * 2 + number % 2 for number in range(32)], ecgs(0, WORST))


@pytest.fixture(scope="module")
def validation() -> Part:
    windows = preprocess(ecgs(100, WORST)[:16, None, :, :1500])
    return part_of(WORST[:16], list(range(16)), windows)


def fitted(
    config: TrainingConfig, train: Part, validation: Part, saved: Path, task: Task = SEVERE
) -> tuple[RiskModel, TrainingHistory]:
    return fit(config, train, validation, "cpu", saved / "checkpoint.safetensors", silent, task=task)


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


# --- questions ----------------------------------------------------------------------------------------------


def test_at_a_threshold_everybody_is_asked_and_a_minor_segment_counts() -> None:
    part = part_of([0, 69, 70, 71, 100, 0], list(range(6)))
    part.degrees[5, 15] = 80  # segment 16 is no major one
    np.testing.assert_array_equal(SEVERE.answers(part)[:, 0], [0, 0, 1, 1, 1, 1])


def test_in_the_grey_zone_nobody_is_asked() -> None:
    part = part_of([0, 50, 51, 69, 70, 90], list(range(6)))
    np.testing.assert_array_equal(BinaryTask(50, 70).answers(part)[:, 0], [0, 0, np.nan, np.nan, 1, 1])


@pytest.mark.parametrize(("low", "high"), [(70, 50), (-1, 50), (0, 0), (50, 101)])
def test_thresholds_that_mean_nothing_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="0 <= low <= high <= 100"):
        BinaryTask(low, high)


def test_classes_weigh_by_the_root_of_their_rarity_and_patients_share_theirs_among_their_ecgs() -> None:
    task, part = BinaryTask(50, 70), part_of([95, 95, 95, 0, 0, 0, 60], [1, 1, 1, 2, 3, 4, 5])
    weights = task.weights(task.answers(part), part.patients)
    ill, well = np.sqrt(4 / 1) / 3, np.sqrt(4 / 3)
    np.testing.assert_allclose(weights, [ill, ill, ill, well, well, well, 0])


def test_in_the_tree_every_patient_with_an_answer_weighs_the_same() -> None:
    part = part_of([95, 95, 10, 10, 10], [1, 1, 1, 2, 3])
    answers = TREE.answers(part)
    answers[2] = np.nan
    np.testing.assert_allclose(TREE.weights(answers, part.patients), [0.5, 0.5, 0, 1, 1])


@pytest.mark.slow
def test_the_network_answers_what_it_is_asked(train: Part, validation: Part, tmp_path: Path) -> None:
    for task in (SEVERE, TREE):
        folder = tmp_path / f"{len(task.outputs)}"
        folder.mkdir()
        model, history = fitted(changed(epochs=8, patience=8), train, validation, folder, task)
        logits = ecg_logits(model, validation, "cpu")
        assert logits.shape == (16, len(task.outputs))
        assert task.figure(logits, validation) == history.best_validation_auroc > 0.9


# --- what becomes of the answers ----------------------------------------------------------------------------


def test_calibration_asks_what_the_tree_asks_and_weighs_patients_not_ecgs(validation: Part) -> None:
    worst = [10.0, 60.0] * 8
    windows = validation.signals
    model = first_model(CONFIG, first_encoder(CONFIG), 6).eval()
    once = part_of(worst, list(range(16)), windows)
    again = [*range(16), 3, 3, 3, 4]
    often = part_of([worst[n] for n in again], again, windows[again])

    def line(part: Part) -> Calibration:
        cohort = Cohort(dict.fromkeys(Split, part), {}, NO_STUDIES)
        return populations.calibrated(Logits.of(model, cohort, NOBODY, "cpu"), cohort, NOBODY).deployed

    found = line(once)
    assert found.slopes[2:] == (1.0,) * 4, "nobody was asked for more than 70 %"
    np.testing.assert_allclose(line(often).slopes, found.slopes, atol=1e-3)
    np.testing.assert_allclose(line(often).intercepts, found.intercepts, atol=1e-3)


NOBODY = nobody(part_of([10.0], [0]))
NO_STUDIES = StudyTable(np.empty(0, np.int64), np.empty((0, 16), np.float32), (), ())


def test_each_split_does_its_own_part(validation: Part) -> None:
    """Validation and calibration patients calibrate and choose thresholds, test patients do neither."""
    model = first_model(CONFIG, first_encoder(CONFIG), 6).eval()
    config = SupervisedConfig(finetuning=CONFIG, bootstrap_resamples=100)
    used = (Split.VALIDATION, Split.CALIBRATION, Split.TEST)

    def decided(parts: dict[Split, Part]) -> tuple[Calibration, list[float]]:
        everything = {Split.TRAIN: validation} | parts
        fitted = finish(model, {}, Cohort(everything, {}, NO_STUDIES), NOBODY, config, "cpu", silent)
        return fitted.populations.deployed, [threshold.value for threshold in fitted.thresholds.values()]

    other = part_of(WORST[1:17], list(range(16)), 3 * validation.signals[::-1].copy())
    line, thresholds = decided(dict.fromkeys(used, validation))
    changed_by = {split: decided(dict.fromkeys(used, validation) | {split: other}) for split in used}
    assert changed_by[Split.TEST] == (line, thresholds)
    for split in (Split.CALIBRATION, Split.VALIDATION):
        assert changed_by[split][0] != line
        assert changed_by[split][1] != thresholds


@pytest.mark.parametrize("seen", [Split.TRAIN, Split.VALIDATION, Split.CALIBRATION, None])
def test_the_gate_hears_of_every_patient_that_was_learned_from(
    validation: Part, tmp_path: Path, seen: Split | None
) -> None:
    elsewhere = part_of(WORST[:16], list(range(100, 116)), validation.signals)
    again = part_of(WORST[:16], [*range(100, 115), 3], validation.signals)
    parts = {split: again if split is seen else elsewhere for split in Split} | {Split.TEST: validation}
    workspace = TrainingWorkspace(tmp_path, load_preset("small"))
    workspace.cohort = Cohort(parts, {}, NO_STUDIES)
    thresholds = {name: Threshold(0.5, "chosen by the test") for name in TARGET_NAMES}
    fitted = Fitted(
        first_model(CONFIG, first_encoder(CONFIG), 6), Populations(Calibration(), None), thresholds, {}, {}
    )
    challenger = Predictions.of(validation, np.full((16, 6), 0.4))
    verdict = verdict_on(challenger, None, fitted, workspace.cohort, workspace.config.gate, None)
    [check] = [check for check in verdict.checks if check.name == "unseen test patients"]
    assert check.finding.startswith(f"{int(seen is not None)} of 16 test patients")


@pytest.mark.parametrize(("ill", "well", "enough"), [(5, 5, True), (4, 9, False), (9, 4, False)])
def test_five_patients_with_and_five_without_are_enough_in_each_split(
    ill: int, well: int, enough: bool
) -> None:
    many, few = (
        part_of(np.repeat([95.0, 10.0], [2 * a, 2 * b]).tolist(), np.repeat(np.arange(a + b), 2).tolist())
        for a, b in ((20, 20), (ill, well))
    )
    config = SupervisedConfig(finetuning=CONFIG)
    for small in Split:
        parts = {split: few if split is small else many for split in Split}
        refused = nullcontext() if enough else pytest.raises(StenceError, match=f"{small} {ill} . {well}")
        with refused:
            check_size(Cohort(parts, {}, NO_STUDIES), config)


# --- fractions of the labels --------------------------------------------------------------------------------

PATIENTS = np.repeat(np.arange(100, 150), 3)


def test_a_fraction_of_the_labels_is_a_fraction_of_the_patients_with_all_their_ecgs() -> None:
    taken = label_share(PATIENTS, 0.2, seed=0)
    assert len(np.unique(PATIENTS[taken])) == 10
    assert taken.sum() == 30
    assert label_share(PATIENTS, 1.0, seed=0).all()


def test_a_smaller_fraction_lies_within_a_larger_one_and_another_seed_draws_others() -> None:
    fractions = [label_share(PATIENTS, fraction, seed=3) for fraction in (0.1, 0.2, 0.5, 0.9)]
    for smaller, larger in pairwise(fractions):
        assert not (smaller & ~larger).any()
    assert (label_share(PATIENTS, 0.5, seed=4) != fractions[2]).any()


def test_what_is_reported_of_the_other_patients_decides_nothing(
    train: Part, validation: Part, tmp_path: Path
) -> None:
    config = changed(label_fraction=0.5)
    other = part_of(WORST, train.patients.tolist(), train.signals)
    hidden = ~label_share(train.patients, 0.5, config.seed)
    assert 0 < hidden.sum() < len(hidden)
    other.degrees[hidden] = 100 - other.degrees[hidden]
    models = []
    for number, part in enumerate((train, other)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        models.append(fitted(config, part, validation, folder)[0])
    assert same(*models)


def test_a_fraction_without_patients_is_refused(train: Part, validation: Part, tmp_path: Path) -> None:
    with pytest.raises(StenceError, match=r"0 training ECGs .* larger label_fraction"):
        fitted(changed(label_fraction=0.01), train, validation, tmp_path)


# --- what learns --------------------------------------------------------------------------------------------


class Pooled(Encoder):
    """Has all that could change in training: weights, running statistics, dropout."""

    size, window_samples, config = 8, 1500, {}

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv1d(12, 8, 5), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU())

    def forward(self, windows: Tensor) -> Tensor:
        return self.mix(windows).mean(dim=2)

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        return list(self.mix), []

    def load_published(self, weights: encoders.base.Weights) -> None:
        self.load_state_dict(dict(weights))

    def folded(self) -> nn.Module:
        return self


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_bit_for_bit_what_it_was(
    train: Part, validation: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    monkeypatch.setitem(encoders.ENCODERS, "pooled", lambda window_samples: Pooled())
    config = changed(encoder="pooled", encoder_config={}, frozen=frozen)
    before = first_model(config, first_encoder(config), 1)
    model, _ = fitted(config, train, validation, tmp_path)
    assert same(before.encoder, model.encoder) == frozen
    assert same(before.encoder.mix[1], model.encoder.mix[1]) == frozen
    assert not same(before.answer, model.answer)
    assert not same(before.normalise, model.normalise)


def test_training_starts_from_the_weights_it_is_given(train: Part, validation: Part, tmp_path: Path) -> None:
    published = encoders.build("otis", **TINY, mlp="swiglu").state_dict()
    start, saved = first_encoder(CONFIG, published), tmp_path / "checkpoint.safetensors"
    before = deepcopy(start)
    model, _ = fit(changed(frozen=True), train, validation, "cpu", saved, silent, start, SEVERE)
    assert same(model.encoder, before)
    assert model.encoder.config["mlp"] == "swiglu", "the manifest would describe another network"

    fit(CONFIG, train, validation, "cpu", tmp_path / "other.safetensors", silent, start, SEVERE)
    assert same(start, before), "the caller's encoder was trained"


def test_random_weights_learn_at_a_rate_of_their_own(train: Part, validation: Part, tmp_path: Path) -> None:
    config = changed(epochs=1, warmup_epochs=0, scratch_rate=1e-12)
    before = first_encoder(config)
    stays = []
    for name, start in (("random", None), ("given", before)):
        model, _ = fit(config, train, validation, "cpu", tmp_path / name, silent, start, SEVERE)
        both = zip(before.parameters(), model.encoder.parameters(), strict=True)
        stays.append(all(torch.allclose(old, new, atol=1e-6) for old, new in both))
    assert stays == [True, False]


def test_weights_of_another_encoder_are_refused() -> None:
    published = encoders.build("otis", **(TINY | {"width": 32})).state_dict()
    with pytest.raises(WeightsError, match=r"cls_token has shape \(1, 1, 32\), not \(1, 1, 16\)"):
        first_encoder(CONFIG, published)


def test_accumulated_batches_make_one_step(train: Part, validation: Part, tmp_path: Path) -> None:
    _, history = fitted(changed(accumulation=3), train, validation, tmp_path)
    assert history.steps == 3 * 2  # of 4 batches of 8: one step of three, one of the last


def test_a_killed_fine_tuning_ends_with_the_weights_it_would_have_had(
    train: Part, validation: Part, tmp_path: Path
) -> None:
    undisturbed, _ = fitted(CONFIG, train, validation, tmp_path)
    saved = tmp_path / "killed.safetensors"

    def kill(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, train, validation, "cpu", saved, kill, task=SEVERE)
    again, history = fit(CONFIG, train, validation, "cpu", saved, silent, task=SEVERE)
    assert history.epochs == 3
    assert same(undisturbed, again)


def test_patients_who_count_little_teach_little(train: Part, validation: Part, tmp_path: Path) -> None:
    """Half of the patients have the opposite answer; the model follows those who count."""
    turned = train.patients % 4 < 2
    degrees = np.where(turned[:, None], 95.0 - train.degrees + 10, train.degrees) * (train.degrees > 0)
    confused = replace(train, degrees=degrees.astype(np.float32))
    config = changed(epochs=6)
    areas = []
    for name, counts in (("these", np.where(turned, 1e-3, 2)), ("those", np.where(turned, 2, 1e-3))):
        (tmp_path / name).mkdir()
        model, _ = fitted(config, replace(confused, sample_weight=counts), validation, tmp_path / name)
        areas.append(SEVERE.figure(ecg_logits(model, validation, "cpu"), validation))
    assert areas[0] > areas[1] + 0.3
