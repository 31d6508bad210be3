"""The teacher and StenCE's pretraining on tiny cohorts: they learn what is there, and nothing that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stence.cohort import Cohort, Split
from stence.cohort.angiograms import Angiograms
from stence.errors import StenceError
from stence.fitting.loop import TrainingHistory
from stence.fitting.pretraining import PretrainingConfig, pretrain
from stence.fitting.probe import embeddings, neighbours_auroc
from stence.fitting.studies import Pairs, Views, angiogram_of
from stence.fitting.teacher import TeacherConfig, train_teacher
from stence.models import SegmentMIL, StencePair
from stence.progress import silent
from stence.training.retrieval import retrieval
from support.pairs import LeadPowers, tiny_pairs

TEACHER = TeacherConfig(embed_dim=32, epochs=8, batch_size=16, accumulation=1, rate=3e-3)
PRETRAINING = PretrainingConfig(
    shared=16,
    epochs=60,
    batch_size=48,
    ecg_rate=5e-3,
    angiogram_rate=5e-3,
    probe_every=20,
)
FEW = {Split.TRAIN: 8, Split.VALIDATION: 6}


def fresh(seed: int = 0) -> tuple[LeadPowers, SegmentMIL]:
    torch.manual_seed(seed)
    return LeadPowers(), TEACHER.build(24)


def pretrained(
    cohort: Cohort, angiograms: Angiograms, saved: Path, progress: Any = silent, **changes: Any
) -> tuple[StencePair, TrainingHistory]:
    reports = changes.pop("reports", None)
    config = PRETRAINING.model_copy(update=changes)
    return pretrain(cohort, angiograms, config, *fresh(), "cpu", saved, progress, reports=reports)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


# --- what is learned ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ecgs_find_their_angiograms_only_if_these_are_their_patients(tmp_path: Path) -> None:
    found = {}
    for shuffled in (False, True):
        cohort, angiograms = tiny_pairs(shuffled=shuffled)
        pair, _ = pretrained(cohort, angiograms, tmp_path / f"{shuffled}")
        found[shuffled] = retrieval(pair, cohort.parts[Split.TEST], angiograms, Split.TEST, 2, "cpu")
    assert found[False]["recall"]["5"] > 3 * found[False]["chance"]["recall"]["5"]
    assert found[False]["median_rank"] <= 6
    assert found[True]["recall"]["5"] < found[False]["recall"]["5"] / 2
    assert found[True]["median_rank"] > 2 * found[False]["median_rank"]
    assert found[False]["chance"] == {
        "recall": {"1": 1 / 32, "5": 5 / 32, "10": 10 / 32},
        "median_rank": 16.5,
    }


@pytest.mark.slow
def test_the_probe_chooses_an_epoch_whose_embeddings_tell_stenosis(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs()
    pair, history = pretrained(cohort, angiograms, tmp_path / "c")
    assert history.judged_epochs == [20, 40, 60]
    assert history.best_validation_auroc == max(history.validation_aurocs) > 0.7
    train, validation = cohort.parts[Split.TRAIN], cohort.parts[Split.VALIDATION]
    again = neighbours_auroc(pair.encoder, train, np.arange(len(train)), validation, 5, "cpu")
    assert again == history.best_validation_auroc


def test_the_teacher_finds_stenosis_on_angiograms(tmp_path: Path) -> None:
    _, angiograms = tiny_pairs()
    _, history = train_teacher(angiograms, TEACHER, "cpu", tmp_path / "c", silent)
    assert history.best_validation_auroc > 0.8


def test_the_teacher_is_judged_by_the_validation_patients(tmp_path: Path) -> None:
    _, angiograms = tiny_pairs()
    held_out = np.array([split == Split.VALIDATION for split in angiograms.splits])
    other = replace(
        angiograms, degrees=np.where(held_out[:, None], 100 - angiograms.degrees, angiograms.degrees)
    )
    one_epoch = TEACHER.model_copy(update={"epochs": 1})
    judged = [
        train_teacher(each, one_epoch, "cpu", tmp_path / f"{number}", silent)[1]
        for number, each in enumerate((angiograms, other))
    ]
    assert judged[0].training_losses == judged[1].training_losses
    assert judged[0].validation_aurocs != judged[1].validation_aurocs


@pytest.mark.slow
def test_reports_that_may_not_be_seen_change_nothing(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs()
    seen = np.arange(len(angiograms)) % 2 == 0
    seen |= np.array([split != Split.TRAIN for split in angiograms.splits])
    degrees = angiograms.degrees.copy()
    degrees[~seen] = 100 - degrees[~seen]
    train = cohort.parts[Split.TRAIN]
    labels = train.labels.copy()
    labels[~seen[train.studies]] = 1 - labels[~seen[train.studies]]
    other_cohort = replace(cohort, parts={**cohort.parts, Split.TRAIN: replace(train, labels=labels)})
    other_angiograms = replace(angiograms, degrees=degrees)

    few = {"epochs": 2, "probe_every": 1}
    pair, history = pretrained(cohort, angiograms, tmp_path / "a", reports=seen, **few)
    other, its_history = pretrained(other_cohort, other_angiograms, tmp_path / "b", reports=seen, **few)
    assert same(weights(pair), weights(other))
    assert its_history == history
    everything, _ = pretrained(other_cohort, other_angiograms, tmp_path / "c", **few)
    assert not same(weights(pair), weights(everything))

    config = TEACHER.model_copy(update={"epochs": 2})
    taught, its = (
        train_teacher(a, config, "cpu", tmp_path / f"teacher{number}", silent, seen)[0]
        for number, a in enumerate((angiograms, other_angiograms))
    )
    assert same(weights(taught), weights(its))


# --- the pair ---------------------------------------------------------------------------------------------


def test_the_angiograms_place_is_what_the_pairs_own_query_found() -> None:
    _, angiograms = tiny_pairs(FEW)
    views = Views.of(angiograms.batch(np.array([0, 1]), None, 0.0))
    pair = StencePair(*fresh(), 16).eval()
    with torch.inference_mode():
        pair.query.copy_(pair.segment_mil.query[1:2])
        found = pair.segment_mil.decode(*views, further=pair.query)
        place, _ = pair.angiogram(*views)
        torch.testing.assert_close(place, pair.angiogram_projector(found[:, 1]))
        assert not torch.allclose(place, pair.angiogram_projector(found[:, 0]))


def test_each_parameter_of_a_pair_learns_at_one_of_its_two_rates() -> None:
    pair = StencePair(*fresh(), 16)
    learning = [*pair.ecg_parameters(), *pair.angiogram_parameters()]
    assert sorted(map(id, learning)) == sorted(map(id, pair.parameters()))


# --- pairs --------------------------------------------------------------------------------------------------


def test_every_study_weighs_the_same_however_many_ecgs_it_has() -> None:
    cohort, angiograms = tiny_pairs(FEW, ecgs_each=3)
    train = cohort.parts[Split.TRAIN]
    some = replace(train, studies=np.where(train.studies == 2, 99, train.studies))  # without an angiogram
    pairs = Pairs(some, angiograms)
    assert pairs.studies.tolist() == [0, 1, 3, 4, 5, 6, 7]
    rng = np.random.default_rng(0)
    drawn = np.stack([pairs.ecgs(pairs.studies, rng) for _ in range(60)])
    assert (some.studies[drawn] == pairs.studies).all()
    assert all(len(set(column)) == 3 for column in drawn.T)


def test_studies_are_found_by_their_numbers_in_any_order() -> None:
    cohort, angiograms = tiny_pairs(FEW)
    train = cohort.parts[Split.TRAIN]
    numbered = replace(angiograms, study=angiograms.study[::-1] + 5)
    of_ecgs = angiogram_of(train, numbered)
    assert of_ecgs.tolist() == [-1, -1, -1, -1, -1, 13, 12, 11]
    assert (numbered.study[of_ecgs[5:]] == train.studies[5:]).all()


def test_an_ecgs_embedding_is_the_mean_over_the_windows_that_models_score() -> None:
    cohort, _ = tiny_pairs(FEW)
    train = cohort.parts[Split.TRAIN]
    encoder = nn.Flatten()
    two = embeddings(encoder, train, np.array([3]), 2, "cpu")
    first = embeddings(encoder, train, np.array([3]), 1, "cpu")
    last = replace(train, signals=train.signals[:, :, -1500:], samples=np.full(len(train), 1500))
    torch.testing.assert_close(two, (first + embeddings(encoder, last, np.array([3]), 1, "cpu")) / 2)


# --- going on and giving up ---------------------------------------------------------------------------------


class Killed(BaseException):
    """In the place of SIGKILL."""


@pytest.mark.slow
def test_a_killed_pretraining_ends_with_the_very_weights(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs(FEW, ecgs_each=2)
    changes = {"epochs": 4, "batch_size": 4, "probe_every": 2}
    whole, history = pretrained(cohort, angiograms, tmp_path / "whole", **changes)

    def until_killed(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        pretrained(cohort, angiograms, tmp_path / "killed", until_killed, **changes)
    again, its_history = pretrained(cohort, angiograms, tmp_path / "killed", **changes)
    assert its_history == history
    assert same(weights(whole), weights(again))


def test_encoder_and_teacher_stay_as_they_are_and_are_where_it_starts(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs(FEW)
    encoder, teacher = fresh()
    before = weights(encoder), weights(teacher)
    tiny = PRETRAINING.model_copy(
        update={"epochs": 1, "warmup_epochs": 0, "ecg_rate": 1e-9, "angiogram_rate": 1e-9}
    )
    pair, _ = pretrain(cohort, angiograms, tiny, encoder, teacher, "cpu", tmp_path / "c", silent)
    assert same(before[0], weights(encoder))
    assert same(before[1], weights(teacher))
    torch.testing.assert_close(weights(pair.encoder), before[0])
    torch.testing.assert_close(weights(pair.segment_mil), before[1])


def test_too_few_pairs_or_reports_are_said(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs(FEW)
    elsewhere = replace(angiograms, study=angiograms.study + 100)
    with pytest.raises(StenceError, match="0 cath studies of the training patients have both"):
        pretrained(cohort, elsewhere, tmp_path / "c")
    unseen = np.zeros(len(angiograms), dtype=bool)
    with pytest.raises(
        StenceError, match="No angiogram of the train patients has a cath report with known targets"
    ):
        train_teacher(angiograms, TEACHER, "cpu", tmp_path / "t", silent, unseen)
    with pytest.raises(StenceError, match="No test ECG has an angiogram"):
        retrieval(StencePair(*fresh(), 16), cohort.parts[Split.TEST], angiograms, Split.TEST, 2, "cpu")


@pytest.mark.parametrize("config", [TeacherConfig(), PretrainingConfig()])
def test_a_configuration_survives_json(config: TeacherConfig | PretrainingConfig) -> None:
    assert type(config).model_validate_json(config.model_dump_json()) == config
