"""Attention maps of the teacher: where it looks on frames of a few test studies, for the model card."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit
from sqlalchemy import Connection, Engine

from stence.angiography.decoding import Decoder
from stence.angiography.dicom import read_view
from stence.angiography.frames import augmented, frames_around
from stence.angiography.reasons import UnusableAngiogramError
from stence.cohort import Angiograms, Split
from stence.database import queries
from stence.database.outage import transact
from stence.errors import ObjectError
from stence.evaluation.pictures import Overlay, overlays
from stence.fitting.studies import Views, rows_of, targets_of
from stence.models import ANGIOGRAPHIC_TARGETS, SegmentMIL
from stence.models.angiographic import MAJOR
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.training.stages import TrainingWorkspace

STUDIES = 3
SIDE = 96
"""Rows and columns of a frame on the card. Frames are shown only if their file says that no text is burned
into them; if it is wrong, letters below a twentieth of the frame are no more than 4 pixels high."""


class Gaze(NamedTuple):
    """The frame that a study's most stenotic segment attends to most; ``weights`` (tokens,) sum to 1.

    ``place`` is the frame's place among the ``frames`` of its view that the teacher reads.
    """

    object_id: int
    title: str
    weights: NDArray[np.float32]
    place: int = 0
    frames: int = 1


class Attention(NamedTuple):
    """The picture as PNG, None if it shows no frame; number of frames that may have text in them."""

    picture: bytes | None
    withheld: int = 0


NO_TEACHER = Attention(None)
"""Of a model without angiograms."""


class _Place(NamedTuple):
    """Where a run lies: its key, its key frame and its number of frames."""

    key: str
    key_frame: int
    frames: int


def attention_picture(
    workspace: TrainingWorkspace, engine: Engine, store: ObjectStore, settings: Settings, device: str
) -> Attention:
    """Draw the teacher's attention over frames of a few test studies with stenosis.

    No name, number or date of a study is shown. A frame is withheld unless its file states that no text is
    burned into it. Raises StoreUnavailableError and DatabaseUnavailableError.
    """
    gazes = find_gazes(workspace.teacher().to(device), workspace.angiograms, _chosen(workspace), device)
    ids = [gaze.object_id for gaze in gazes]
    places = transact(engine, settings.outage_seconds, _places, ids)
    drawn: list[Overlay] = []
    withheld = 0
    seconds, memory = settings.decode_seconds, settings.decode_memory_bytes
    with Decoder(seconds=seconds, memory_bytes=memory) as decoder:
        for gaze in gazes:
            if gaze.object_id not in places:
                continue
            place = places[gaze.object_id]
            try:
                content = store.get(place.key, settings.max_angiogram_bytes)
                if not read_view(content, whole=True).states_no_text:
                    withheld += 1
                    continue
                pixels = decoder.frame(content, _frame(gaze, place))
            except (UnusableAngiogramError, ObjectError, IndexError):
                continue  # the file has changed since; the card can do without it
            drawn.append(Overlay(gaze.title, augmented(pixels, SIDE, 0, ""), heat(gaze.weights)))
    return Attention(overlays(drawn) if drawn else None, withheld)


def _frame(gaze: Gaze, place: _Place) -> int:
    """Return the index of the gaze's frame in its run."""
    return frames_around(place.key_frame, place.frames, gaze.frames)[gaze.place]


@torch.inference_mode()
def find_gazes(model: SegmentMIL, angiograms: Angiograms, rows: NDArray[np.int64], device: str) -> list[Gaze]:
    """Return the gaze of each study. Angiograms that were gathered without numbers of objects have none."""
    if angiograms.objects is None or not len(rows):
        return []
    views = Views.of(angiograms.batch(rows, None, 0.0)).to(device)
    attention = model.attend(*views).float().cpu().numpy()
    risks = expit(model(*views).double().cpu().numpy())
    found = []
    for study, row in enumerate(rows):
        segment = MAJOR.start + int(risks[study, MAJOR].argmax())
        view = int(attention[study, segment].sum(axis=1).argmax())
        frames = attention[study, segment, view].reshape(views.tokens.shape[2], -1)
        place = int(frames.sum(axis=1).argmax())
        title = f"{ANGIOGRAPHIC_TARGETS[segment].replace('_', ' ')}: {risks[study, segment]:.2f}"
        number = int(angiograms.objects[angiograms.first[row] + view])
        weights = frames[place] / frames[place].sum()
        found.append(Gaze(number, title, weights, place, len(frames)))
    return found


def heat(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights of a square grid of patches as a picture (SIDE, SIDE) in 0..1."""
    side = math.isqrt(len(weights))
    grid = weights[: side * side].reshape(side, side)
    places = (np.arange(SIDE) + 0.5) * side / SIDE - 0.5
    spread: NDArray[np.float32] = ndimage.map_coordinates(
        grid, np.meshgrid(places, places, indexing="ij"), order=1, mode="nearest"
    )
    return spread / max(float(spread.max()), 1e-12)


def _chosen(workspace: TrainingWorkspace) -> NDArray[np.int64]:
    """Return a few test studies with stenosis, drawn with the training's seed."""
    angiograms, config = workspace.angiograms, workspace.config
    rows = rows_of(angiograms, Split.TEST)
    rows = rows[targets_of(angiograms, config.teacher.threshold, None)[rows, 0] == 1]
    return np.sort(np.random.default_rng(config.seed).permutation(rows)[:STUDIES])


def _places(connection: Connection, object_ids: list[int]) -> dict[int, _Place]:
    """Return where the runs of these angiograms lie, by number of the object."""
    found = connection.execute(queries.statement("angiogram_frames"), {"object_ids": object_ids})
    return {number: _Place(*place) for number, *place in found}
