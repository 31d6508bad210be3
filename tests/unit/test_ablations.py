"""Ablations of pretraining: each learns from what its name says, and from nothing else."""

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
from stence.fitting.studies import PermutedPairs, others, rows_of
from stence.fitting.teacher import TeacherConfig, train_teacher
from stence.models import SegmentMIL, StencePair
from stence.progress import silent
from stence.training.retrieval import retrieval
from support.pairs import LeadPowers, tiny_pairs

TEACHER = TeacherConfig(embed_dim=16, epochs=12, batch_size=16, accumulation=1, rate=3e-3)
SHORT = PretrainingConfig(
    shared=16, epochs=2, batch_size=12, ecg_rate=5e-3, angiogram_rate=5e-3, probe_every=2
)


@pytest.fixture(scope="module")
def few() -> tuple[Cohort, Angiograms]:
    """Enough patients to see whether two trainings are the same."""
    return tiny_pairs({Split.TRAIN: 24, Split.VALIDATION: 8})


def pretrained(
    cohort: Cohort,
    angiograms: Angiograms,
    saved: Path,
    teacher: SegmentMIL | None = None,
    reports: np.ndarray | None = None,
    **changes: Any,
) -> tuple[StencePair, TrainingHistory]:
    torch.manual_seed(0)
    encoder = LeadPowers()
    config = PretrainingConfig.model_validate(SHORT.model_dump() | changes)
    taught = teacher or TEACHER.build(24)
    return pretrain(cohort, angiograms, config, encoder, taught, "cpu", saved, silent, reports=reports)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = weights(other)
    return all(torch.equal(tensor, theirs[name]) for name, tensor in weights(one).items())


def other_reports(angiograms: Angiograms) -> Angiograms:
    """The same angiograms, with reports of the training patients that say the opposite."""
    degrees = angiograms.degrees.copy()
    rows = rows_of(angiograms, Split.TRAIN)
    degrees[rows] = 100 - degrees[rows]
    return replace(angiograms, degrees=degrees)


def other_pictures(angiograms: Angiograms) -> Angiograms:
    """The same reports, with other angiograms."""
    return replace(angiograms, features=angiograms.features[::-1].copy())


# --- permuted pairs -----------------------------------------------------------------------------------------


def test_permuted_pairs_are_a_seeded_permutation_that_leaves_nobody_their_own_ecg() -> None:
    cohort, angiograms = tiny_pairs({Split.TRAIN: 24, Split.VALIDATION: 8}, ecgs_each=2)
    train = cohort.parts[Split.TRAIN]
    train = replace(train, patients=train.studies // 3)  # three studies a patient, two ECGs each
    pairs = PermutedPairs(train, angiograms, 1)
    rng = np.random.default_rng(0)
    given = train.studies[pairs.ecgs(pairs.studies, rng)]
    assert sorted(given) == sorted(pairs.studies) == rows_of(angiograms, Split.TRAIN).tolist()
    assert not (given // 3 == pairs.studies // 3).any()
    assert given.tolist() == train.studies[pairs.ecgs(pairs.studies, rng)].tolist()
    again, other = (PermutedPairs(train, angiograms, seed) for seed in (1, 2))
    assert given.tolist() == train.studies[again.ecgs(again.studies, rng)].tolist()
    assert given.tolist() != train.studies[other.ecgs(other.studies, rng)].tolist()


def test_one_patient_with_most_studies_cannot_be_permuted() -> None:
    with pytest.raises(StenceError, match="one has more than half of the cath studies"):
        others(np.array([1, 1, 1, 2, 3]), np.random.default_rng(0))
    for seed in range(20):
        patients = np.array([1, 1, 2, 3])
        assert (patients[others(patients, np.random.default_rng(seed))] != patients).all()


@pytest.mark.slow
def test_permuted_pairs_teach_nothing_about_whose_angiogram_it_is(tmp_path: Path) -> None:
    cohort, angiograms = tiny_pairs()
    long = {"epochs": 60, "batch_size": 48, "probe_every": 60}
    pair, _ = pretrained(cohort, angiograms, tmp_path / "a", permute_pairs=True, **long)
    found = retrieval(pair, cohort.parts[Split.TEST], angiograms, Split.TEST, 2, "cpu")
    assert found["recall"]["5"] < 2 * found["chance"]["recall"]["5"], "true pairs: above 3 times chance"


def test_permuted_pairs_reach_the_training(few: tuple[Cohort, Angiograms], tmp_path: Path) -> None:
    cohort, angiograms = few
    true, _ = pretrained(cohort, angiograms, tmp_path / "a")
    permuted, _ = pretrained(cohort, angiograms, tmp_path / "b", permute_pairs=True)
    assert not same(true.encoder, permuted.encoder)


# --- losses -------------------------------------------------------------------------------------------------


def test_clip_alone_reads_no_report(few: tuple[Cohort, Angiograms], tmp_path: Path) -> None:
    cohort, angiograms = few
    opposite = other_reports(angiograms)
    both = [
        [
            pretrained(cohort, each, tmp_path / f"{weight}{place}", stenosis_weight=weight)[0]
            for place, each in enumerate((angiograms, opposite))
        ]
        for weight in (0.0, 0.3)
    ]
    assert same(*both[0])
    assert not same(*both[1])


def test_stenosis_alone_learns_from_reports_and_sees_no_angiogram(
    few: tuple[Cohort, Angiograms], tmp_path: Path
) -> None:
    cohort, angiograms = few
    given = (angiograms, other_pictures(angiograms), other_reports(angiograms))
    teacher = TEACHER.build(24)
    one, unseen, opposite = (
        pretrained(cohort, each, tmp_path / f"{place}", teacher, objective="stenosis")[0]
        for place, each in enumerate(given)
    )
    assert same(one.encoder, unseen.encoder)
    assert not same(one.encoder, opposite.encoder)
    assert same(one.segment_mil, teacher)


def test_distillation_learns_from_the_teacher_and_reads_no_report(
    few: tuple[Cohort, Angiograms], tmp_path: Path
) -> None:
    cohort, angiograms = few
    given = (angiograms, other_reports(angiograms), other_pictures(angiograms), angiograms)
    teacher, other_teacher = TEACHER.build(24), TEACHER.model_copy(update={"seed": 1}).build(24)
    one, opposite, pictures, taught = (
        pretrained(cohort, each, tmp_path / f"{place}", by, objective="distillation")[0]
        for place, (each, by) in enumerate(zip(given, [teacher] * 3 + [other_teacher], strict=True))
    )
    assert same(one.encoder, opposite.encoder)
    assert not same(one.encoder, pictures.encoder)
    assert not same(one.encoder, taught.encoder)
    assert same(one.segment_mil, teacher)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["stenosis", "distillation"])
def test_the_ecg_alone_learns_stenosis_from_either_teacher(tmp_path: Path, objective: str) -> None:
    cohort, angiograms = tiny_pairs()
    teacher, _ = train_teacher(angiograms, TEACHER, "cpu", tmp_path / "t", silent)
    long = {"objective": objective, "epochs": 40, "probe_every": 20}
    _, history = pretrained(cohort, angiograms, tmp_path / "a", teacher, **long)
    assert history.best_validation_auroc > 0.7
    assert history.training_losses[-1] < history.training_losses[0]


def test_stenosis_alone_needs_known_reports(few: tuple[Cohort, Angiograms], tmp_path: Path) -> None:
    cohort, angiograms = few
    none = np.array([split != Split.TRAIN for split in angiograms.splits])
    with pytest.raises(StenceError, match="0 training studies with ECGs have known stenosis targets"):
        pretrained(cohort, angiograms, tmp_path / "a", reports=none, objective="stenosis")
