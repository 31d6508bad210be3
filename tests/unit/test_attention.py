"""The teacher's attention: which view and patch it shows, and a picture without anything of a patient."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import matplotlib.image
import numpy as np
import torch

from stence.cohort import Angiograms, Split
from stence.evaluation.pictures import Overlay, overlays
from stence.fitting.studies import rows_of
from stence.models import SegmentMIL
from stence.training.attention import SIDE, find_gazes, heat
from support.pairs import PATCH_DIM, PATCHES, tiny_pairs


def looking_for_a_mark(angiograms: Angiograms) -> SegmentMIL:
    """A model whose queries attend to the first feature of a patch, which ``marked`` sets."""
    torch.manual_seed(0)
    model = SegmentMIL(PATCH_DIM, embed_dim=16, layers=1, heads=2).eval()
    with torch.no_grad():
        model.pos_embeddings.zero_()
        for weight in model.attention.layers[0].self_attn.parameters():
            weight.zero_()
        model.projector.weight.zero_()
        model.projector.weight[:, 0] = 1
        cross = model.attention.layers[0].multihead_attn
        cross.in_proj_weight.copy_(torch.eye(16).repeat(3, 1))
        cross.in_proj_bias[:16] = 4
    return model


def marked(angiograms: Angiograms, row: int, patch: int) -> Angiograms:
    """Only this patch of this view stands out in the original frames."""
    features = np.zeros_like(angiograms.features)
    features[row, 0, 0, patch, 0] = 10
    return replace(angiograms, features=features, objects=1000 + np.arange(len(angiograms.angles)))


def test_a_gaze_is_the_most_attended_view_with_the_most_attended_patch() -> None:
    _, angiograms = tiny_pairs()
    study = next(study for study in rows_of(angiograms, Split.TEST) if angiograms.count[study] > 1)
    row = int(angiograms.first[study]) + 1
    seen = marked(angiograms, row, patch=5)
    [gaze] = find_gazes(looking_for_a_mark(seen), seen, np.array([study]), "cpu")
    assert gaze.object_id == 1000 + row
    assert gaze.weights.shape == (PATCHES,)
    assert gaze.weights.argmax() == 5
    np.testing.assert_allclose(gaze.weights.sum(), 1, rtol=1e-5)
    assert gaze.title.startswith("segment ")


def test_a_gaze_is_the_most_attended_frame_of_its_view() -> None:
    _, angiograms = tiny_pairs()
    study = rows_of(angiograms, Split.TEST)[0]
    several = np.zeros_like(angiograms.features).repeat(3, axis=2)
    several[angiograms.first[study], 0, 2, 5, 0] = 10
    seen = replace(angiograms, features=several, objects=np.arange(len(angiograms.angles)))
    [gaze] = find_gazes(looking_for_a_mark(seen), seen, np.array([study]), "cpu")
    assert (gaze.place, gaze.frames) == (2, 3)
    assert gaze.weights.shape == (PATCHES,)
    assert gaze.weights.argmax() == 5


def test_angiograms_of_before_have_no_gaze() -> None:
    _, angiograms = tiny_pairs()
    rows = rows_of(angiograms, Split.TEST)[:2]
    assert find_gazes(looking_for_a_mark(angiograms), angiograms, rows, "cpu") == []


def test_heat_lies_where_the_patch_is() -> None:
    weights = np.zeros(9, np.float32)
    weights[5] = 0.5  # second row, third column
    drawn = heat(weights)
    assert drawn.shape == (SIDE, SIDE)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert SIDE / 3 <= row < 2 * SIDE / 3
    assert column >= 2 * SIDE / 3
    assert drawn.max() == 1
    assert drawn[:, : SIDE // 3].max() == 0


def test_the_picture_shows_the_heat_over_the_frame() -> None:
    frame, hot = np.full((SIDE, SIDE), 0.5, np.float32), np.zeros((SIDE, SIDE), np.float32)
    hot[: SIDE // 2] = 1
    plain, warm = (
        matplotlib.image.imread(BytesIO(overlays([Overlay("segment 6: 0.90", frame, found)])))
        for found in (np.zeros_like(hot), hot)
    )
    changed = (plain != warm).any(axis=2)
    assert changed[changed.shape[0] // 2 :].any(), "the lower row shows the heat"
    assert not changed[: changed.shape[0] // 3].any(), "the upper row is the frame alone"
