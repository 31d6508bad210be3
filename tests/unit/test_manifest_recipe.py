"""A manifest says how its model's ECGs are prepared, and a model is built only where that fits."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from stence.ecg import Recording
from stence.ecg.recipes import PUBLISHED, STENCE, Recipe
from stence.encoders import encoder_for
from stence.errors import ArtefactError
from stence.models import RiskModel
from stence.registry import Artefact, Manifest, scorer, weights_of
from stence.registry.manifest import Architecture, Preprocessing
from support.artefacts import make_artefact
from support.ecgs import heartbeats
from support.encoders import SMALL

RECORDING = Recording(heartbeats(1).astype(np.float32) / 1000, 500.0)


def made_for(recipe: Recipe, encoder: str) -> Artefact:
    """An untrained model on a recipe's input."""
    dimensions = {name: size for name, size in SMALL[encoder].items() if name != "window_samples"}
    torch.manual_seed(0)
    model = RiskModel(encoder_for(recipe, encoder, dimensions))
    changes = {
        "architecture": Architecture(encoder=encoder, config=model.encoder.config),
        "preprocessing": Preprocessing.of(recipe, recipe.windows(2)),
    }
    return Artefact(make_artefact().manifest.model_copy(update=changes), weights_of(model))


def test_a_manifest_of_a_time_without_recipes_is_read_as_stences() -> None:
    artefact = make_artefact()
    content = json.loads(artefact.manifest_bytes)
    content["preprocessing"] = {"version": "stence-500hz-3s-1", "windows": 2}
    old = Manifest.model_validate_json(json.dumps(content))
    assert old.preprocessing == artefact.manifest.preprocessing == Preprocessing.of(STENCE, 2)
    model = scorer(Artefact(old, artefact.weights), "cpu")
    np.testing.assert_array_equal(model.prepare(RECORDING), STENCE.prepare(RECORDING, 2))


@pytest.mark.parametrize("encoder", sorted(PUBLISHED))
def test_a_model_prepares_ecgs_as_its_manifest_says(encoder: str) -> None:
    own = PUBLISHED[encoder]
    artefact = made_for(own, encoder)
    model = scorer(Artefact(Manifest.model_validate_json(artefact.manifest_bytes), artefact.weights), "cpu")
    assert model.preprocessing_version == own.version
    prepared = model.prepare(RECORDING)
    np.testing.assert_array_equal(prepared, own.prepare(RECORDING, 1 if own.seconds == 10 else 2))
    assert np.isfinite(model.score(prepared[None])).all()


def test_a_recipe_that_this_installation_does_not_know_is_refused() -> None:
    artefact = made_for(PUBLISHED["xecg"], "xecg")
    unknown = artefact.manifest.preprocessing.model_copy(update={"version": "xecg-100hz-10s-2"})
    manifest = artefact.manifest.model_copy(update={"preprocessing": unknown})
    with pytest.raises(ArtefactError, match=r"preprocessing xecg-100hz-10s-2, .* xecg-100hz-10s-1"):
        scorer(Artefact(manifest, artefact.weights), "cpu")


def test_an_encoder_that_does_not_read_what_the_recipe_makes_is_refused() -> None:
    artefact = made_for(PUBLISHED["ecgfounder"], "ecgfounder")
    manifest = artefact.manifest.model_copy(update={"preprocessing": Preprocessing.of(STENCE, 2)})
    told = "reads windows of 5000 samples, and the input recipe stence-500hz-3s-1 makes 1500"
    with pytest.raises(ArtefactError, match=re.escape(told)):
        scorer(Artefact(manifest, artefact.weights), "cpu")


def test_the_decisive_threshold_alone_raises_flags() -> None:
    artefact = make_artefact()
    assert len(artefact.manifest.thresholds) == 6
    assert scorer(artefact, "cpu").thresholds == {"stenosis_70": artefact.manifest.thresholds["stenosis_70"]}
    other = artefact.manifest.model_copy(update={"decisive": "lca_70"})
    assert scorer(Artefact(other, artefact.weights), "cpu").thresholds.keys() == {"lca_70"}


def test_a_manifest_of_a_time_without_a_decisive_target_has_the_usual_one() -> None:
    artefact = make_artefact()
    content = json.loads(artefact.manifest_bytes)
    del content["decisive"]
    assert Manifest.model_validate_json(json.dumps(content)).raising.keys() == {"stenosis_70"}
