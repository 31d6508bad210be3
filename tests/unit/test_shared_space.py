"""A model's shared space in its artefact, and the measure of what its neighbours tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stence.cohort import Part
from stence.encoders import build
from stence.errors import StenceError
from stence.models import SegmentMIL, SharedSpace, StencePair
from stence.registry.artefact import Artefact, scorer
from stence.registry.manifest import Architecture
from stence.training.model_card import tables
from stence.training.retrieval import ecg_places
from stence.training.shared_space import neighbours_metrics, share_severe
from support.artefacts import INFORMATIVE, TINY, make_artefact

DIMENSIONS = 6
RNG = np.random.default_rng(3)


def part(degrees: NDArray[Any], patients: NDArray[Any]) -> Part:
    count = len(degrees)
    nothing = np.zeros(count)
    return Part(
        contents=("",) * count,
        patients=patients,
        studies=np.arange(count),
        labels=np.zeros((count, 6), np.float32),
        degrees=np.repeat(degrees[:, None], 16, axis=1),
        sex=np.full(count, ""),
        age=nothing,
        samples=np.zeros(count, np.int64),
        rows=np.arange(count),
        signals=np.zeros((count, 1, 12, 1), np.float32),
    )


def test_the_kept_space_places_an_ecg_where_it_was_measured() -> None:
    torch.manual_seed(0)
    pair = StencePair(
        build("otis", **TINY), SegmentMIL(patch_dim=8, embed_dim=16, layers=1, heads=2), DIMENSIONS
    )
    signals = RNG.normal(size=(3, 2, 12, 1500)).astype(np.float32)
    ecgs = replace(part(np.zeros(3), np.arange(3)), signals=signals)
    measured = ecg_places(pair, ecgs, np.arange(3), 2, "cpu")
    with torch.inference_mode():
        assert SharedSpace.of(pair)(torch.from_numpy(signals)).numpy() == pytest.approx(measured, abs=1e-5)
    assert np.abs(measured[0] - measured[1]).max() > 1e-4


def test_neighbours_that_share_the_finding_are_informative_and_random_ones_are_not() -> None:
    case = np.arange(200) % 2 == 0
    ecgs = part(np.where(case, 70.0, 69.0), np.arange(200))
    severe = RNG.random(500) < 0.4
    angles = np.where(severe, 0.0, np.pi / 2) + RNG.normal(size=500) * 0.2
    studies = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    aimed = np.where(case, 0.0, np.pi / 2) + RNG.normal(size=200) * 0.5
    places = np.stack([np.cos(aimed), np.sin(aimed)], axis=1).astype(np.float32)

    told = neighbours_metrics(share_severe(places, studies, severe, 5), ecgs, severe, 200)
    assert told["informative"]
    assert told["cases"]["value"] > 0.8
    assert told["others"]["value"] < 0.2
    assert told["chance"] == pytest.approx(severe.mean(), abs=1e-4)
    assert told["difference"]["value"] == pytest.approx(
        told["cases"]["value"] - told["others"]["value"], abs=2e-4
    )

    untold = neighbours_metrics(share_severe(RNG.permutation(places), studies, severe, 5), ecgs, severe, 200)
    assert not untold["informative"]
    assert untold["difference"]["lower"] < 0 < untold["difference"]["upper"]


def test_neighbours_that_share_the_opposite_finding_are_not_informative() -> None:
    case = np.arange(100) % 2 == 0
    found = neighbours_metrics(
        (~case).astype(float), part(np.where(case, 90.0, 0.0), np.arange(100)), case, 100
    )
    assert not found["informative"]


def test_a_patient_with_many_ecgs_counts_once() -> None:
    degrees, patients = np.array([90.0] * 9 + [90.0] + [0.0] * 5), np.array([0] * 9 + [1, 2, 3, 4, 5, 6])
    shares = np.array([1.0] * 9 + [0.0] * 6)
    found = neighbours_metrics(shares, part(degrees, patients), np.ones(4, bool), 300)
    assert found["cases"]["value"] == 0.5
    assert found["difference"]["lower"] <= 0, "two patients prove nothing"


def test_without_test_patients_of_both_kinds_nothing_is_told() -> None:
    found = neighbours_metrics(np.ones(20), part(np.full(20, 90.0), np.arange(20)), np.ones(4, bool), 50)
    assert not found["informative"]
    assert found["difference"] == {"value": None, "lower": None, "upper": None}


def test_the_projection_travels_in_the_artefact_and_changes_no_score() -> None:
    with_space, without = make_artefact(shared=DIMENSIONS), make_artefact()
    ecgs = RNG.normal(size=(3, 2, 12, 1500)).astype(np.float32)
    place = scorer(with_space, "cpu").embed_in_shared_space(ecgs)
    assert place.shape == (3, DIMENSIONS)
    assert np.linalg.norm(place, axis=1) == pytest.approx(1, abs=1e-5)
    assert len({row.tobytes() for row in place}) == 3
    with pytest.raises(StenceError, match="No angiograms were part of the training of tiny-1"):
        scorer(without, "cpu").embed_in_shared_space(ecgs)


def test_a_manifest_of_before_has_no_shared_space() -> None:
    artefact = make_artefact()
    old = artefact.manifest.architecture.model_dump(exclude={"shared_space"})
    manifest = artefact.manifest.model_copy(update={"architecture": Architecture(**old)})
    assert manifest.architecture.shared_space == 0
    assert scorer(replace(artefact, manifest=manifest), "cpu").score(
        np.zeros((1, 2, 12, 1500), np.float32)
    ).shape == (1, 6)
    assert isinstance(artefact, Artefact)


def test_the_card_says_whether_similar_studies_are_shown() -> None:
    shown = tables.similar({"neighbours": INFORMATIVE})
    assert "are shown beside an ECG" in shown
    assert "0.300 (0.200 to 0.400)" in shown
    untold = tables.similar({"neighbours": {**INFORMATIVE, "informative": False}})
    assert "Cannot tell: the difference may be chance" in untold
    assert "shares no space" in tables.similar(None)
