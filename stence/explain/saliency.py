"""Where the model looked: contributions of leads and parts of the beat to the score, tested by deletion.

Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365; from captum) against a flat ECG give the
contribution of every sample to the log-odds of the decisive target, summed by lead and by part of the beat.
Occlusion of a lead or part is the second opinion. Parts with the largest contributions are marks. They are
shown only if their deletion lowers the score more than every deletion of random parts of equal size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from stence.ecg import LEADS, SAMPLING_RATE, Recording
from stence.ecg.delineation import Interval, Part, delineate
from stence.explain.paper import Mark
from stence.models import RiskScorer, clinical_values
from stence.models.log_odds import LogOdds

PARTS = tuple(Part)
STEPS = 16
"""Points on the path from the flat ECG to the ECG."""
DRAWS = 19
"""Random deletions. If the marks had no meaning, they would move the score more than 19 others once in 20."""
MAX_MARKS = 6
MARKED_SHARE = 0.5
"""The marks hold this share of all contributions that raise the score, if so few parts do."""
BATCH = 8
"""ECGs inferred together."""

Masks = NDArray[np.bool_]
Windows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Contributions:
    """Changes of the log-odds of the decisive target, by lead (12,) and by part of the beat (3,).

    ``gradients``: share of integrated gradients. ``occluded``: log-odds of the ECG less those without it.
    """

    names: tuple[str, ...]
    gradients: tuple[float, ...]
    occluded: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletion test: drop of the log-odds without the marks, and without each of the random parts."""

    marked: float
    random: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """True if the marks mattered more than every random choice of equal size."""
        return self.marked > max(self.random)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the model looked at in an ECG. ``deletion`` is None if there was nothing to mark.

    ``windows`` are start and end in seconds of what the model read.
    """

    log_odds: float
    leads: Contributions
    parts: Contributions
    beats: Sequence[Interval]
    windows: tuple[tuple[float, float], ...]
    candidates: tuple[Mark, ...]
    deletion: Deletion | None

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks to show: none if the deletion test failed."""
        return self.candidates if self.deletion and self.deletion.passed else ()


def explain(scorer: RiskScorer, recording: Recording, seed: int) -> Explanation:
    """Explain the score of a recording; ``seed`` decides the random deletions.

    Raises UnusableEcgError if the recording is too short.
    """
    ecg = scorer.prepare(recording)
    log_odds = scorer.log_odds(clinical_values([recording.age], [recording.sex]))
    beats, starts = delineate(recording), _starts(scorer, recording)
    labels = _labels(beats, starts, ecg.shape[-1], scorer.recipe.sampling_rate)
    contributions = _integrated_gradients(log_odds, ecg, scorer.device)
    cells = np.stack(
        [np.where(labels[:, None] == part, contributions, 0).sum((0, 2)) for part in range(len(PARTS))]
    )
    candidates = _most_raising(cells)
    leads = [
        np.broadcast_to((np.arange(len(LEADS)) == lead)[None, :, None], ecg.shape)
        for lead in range(len(LEADS))
    ]
    parts = [np.broadcast_to((labels == part)[:, None], ecg.shape) for part in range(len(PARTS))]
    deletions = _deletions(candidates, labels, seed)
    scores = _scored(
        log_odds, [ecg, *(without(ecg, mask) for mask in (*leads, *parts, *deletions))], scorer.device
    )
    drops = scores[0] - scores[1:]
    of_leads, of_parts, of_deletions = np.split(drops, [len(leads), len(leads) + len(parts)])
    return Explanation(
        log_odds=float(scores[0]),
        leads=Contributions(LEADS, tuple(contributions.sum((0, 2)).tolist()), tuple(of_leads.tolist())),
        parts=Contributions(PARTS, tuple(cells.sum(1).tolist()), tuple(of_parts.tolist())),
        beats=beats,
        windows=tuple((start, start + scorer.recipe.seconds) for start in starts.tolist()),
        candidates=candidates,
        deletion=Deletion(float(of_deletions[0]), tuple(of_deletions[1:].tolist())) if candidates else None,
    )


def without(ecg: Windows, mask: Masks) -> Windows:
    """Delete the samples of ``mask`` from prepared windows, both (windows, 12, samples).

    A straight line between the neighbours takes their place, or 0 where a whole lead is deleted.

    >>> ecg = np.array([[[1.0, 5.0, 3.0]]], np.float32)
    >>> without(ecg, np.array([[[False, True, False]]])).tolist()
    [[[1.0, 2.0, 3.0]]]
    """
    left = ecg.copy()
    at = np.arange(ecg.shape[-1])
    for place in np.argwhere(mask.any(axis=-1)):
        window, lead = place
        gone = mask[window, lead]
        kept = ~gone
        left[window, lead, gone] = np.interp(at[gone], at[kept], ecg[window, lead, kept]) if kept.any() else 0
    return left


def _starts(scorer: RiskScorer, recording: Recording) -> NDArray[np.float64]:
    """Return the windows' starts in seconds of the recording."""
    length = scorer.recipe.long_enough(recording).shape[1]
    return scorer.recipe.starts(length, scorer.windows) / SAMPLING_RATE


def _labels(
    beats: Sequence[Interval], starts: NDArray[np.float64], samples: int, rate: float
) -> NDArray[np.int8]:
    """Return the part of the beat of each sample (windows, samples): index in ``PARTS``, -1 between."""
    labels = np.full((len(starts), samples), -1, dtype=np.int8)
    for part, start, end in beats:
        for row, opened in enumerate(starts):
            first, last = (round((second - opened) * rate) for second in (start, end))
            labels[row, max(first, 0) : max(last, 0)] = PARTS.index(part)
    return labels


def _integrated_gradients(log_odds: LogOdds, ecg: Windows, device: str) -> NDArray[np.float64]:
    """Return the contribution of each sample (windows, 12, samples), compared with a flat ECG."""
    tensor = torch.from_numpy(ecg[None]).to(device)
    found: Tensor = IntegratedGradients(log_odds).attribute(tensor, n_steps=STEPS, internal_batch_size=BATCH)
    return found[0].detach().cpu().numpy().astype(np.float64)


def _most_raising(cells: NDArray[np.float64]) -> tuple[Mark, ...]:
    """Return the leads' parts that raise the score most; ``cells`` (3, 12) are contributions."""
    raising = np.clip(cells, 0, None)
    order = np.argsort(raising, axis=None)[::-1][:MAX_MARKS]
    reached = np.cumsum(raising.flat[order]) >= MARKED_SHARE * raising.sum()
    count = int(np.argmax(reached)) + 1 if reached.any() else len(order)
    places = (np.unravel_index(place, cells.shape) for place in order[:count] if raising.flat[place] > 0)
    return tuple(Mark(LEADS[lead], PARTS[part]) for part, lead in sorted(places))


def _deletions(marks: Sequence[Mark], labels: NDArray[np.int8], seed: int) -> list[Masks]:
    """Return the mask of the marks, then random ones: the same pieces in other leads at another time."""
    if not marks:
        return []
    mask = np.zeros((len(labels), len(LEADS), labels.shape[1]), dtype=np.bool_)
    for lead, part in marks:
        mask[:, LEADS.index(lead)] |= labels == PARTS.index(part)
    draw = np.random.default_rng(seed)
    moves = [(draw.permutation(len(LEADS)), int(draw.integers(labels.shape[1]))) for _ in range(DRAWS)]
    return [mask, *(np.roll(mask[:, order], shift, axis=-1) for order, shift in moves)]


@torch.inference_mode()
def _scored(log_odds: LogOdds, ecgs: Sequence[Windows], device: str) -> NDArray[np.float64]:
    batches = [np.stack(ecgs[start : start + BATCH]) for start in range(0, len(ecgs), BATCH)]
    return np.concatenate([log_odds(torch.from_numpy(batch).to(device)).cpu().numpy() for batch in batches])
