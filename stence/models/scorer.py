"""Inference with a trained, calibrated model: from preprocessed ECGs to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from stence.domain.random_projection import project
from stence.domain.targets import DECISIVE, TARGET_NAMES
from stence.domain.thresholds import DECIMALS, Threshold
from stence.ecg import Recording
from stence.ecg.recipes import Recipe
from stence.errors import StenceError
from stence.inference import FP32, Form, Inferred, Pending, engine_of, prepare_network
from stence.models.calibration import Calibration
from stence.models.certainty import Certainty
from stence.models.clinical import Floats, clinical_values
from stence.models.coherence import probabilities
from stence.models.log_odds import LogOdds
from stence.models.risk import InferenceForm, RiskModel


class Scores(NamedTuple):
    """``probabilities`` (n, 6) of ECGs, and random ``projections`` (n, 32) of their embeddings.

    ``lower`` and ``upper`` (n, 6) are the ends of the probabilities' 95 % intervals, ``novelty`` (n,) is the
    percentage of held-out ECGs that are more like the training ECGs; all NaN where a model cannot tell.

    >>> Scores.alone(np.full((1, 6), 0.5), np.zeros((1, 32), np.float32)).novelty.tolist()
    [nan]
    """

    probabilities: Floats
    projections: NDArray[np.float32]
    lower: Floats
    upper: Floats
    novelty: Floats

    @classmethod
    def alone(cls, probabilities: Floats, projections: NDArray[np.float32]) -> Self:
        """Return scores of a model that cannot tell how sure they are."""
        unknown = np.full_like(probabilities, np.nan)
        return cls(probabilities, projections, unknown, unknown, np.full(len(probabilities), np.nan))


class PendingScores:
    """Scores of ECGs whose inference was started."""

    def __init__(self, inferred: Pending, finish: Callable[[Inferred], Scores]) -> None:
        self._inferred, self._finish = inferred, finish

    def result(self) -> Scores:
        """Wait for the scores and return them."""
        return self._finish(self._inferred.result())

    def cancel(self) -> None:
        """Drop the ECGs that have not begun; ``result`` must not be called after it."""
        self._inferred.cancel()


class RiskScorer:
    """Scorer of one model version. ``score`` takes what ``prepare`` returns, and ``clinical_values``.

    >>> from stence.ecg import recipes
    >>> from stence.encoders import build
    >>> model = RiskModel(build("otis", width=16, depth=1, heads=2))
    >>> about = {"model_version": "demo", "recipe": recipes.STENCE, "windows": 3, "thresholds": {}}
    >>> scorer = RiskScorer(model, Calibration(), **about)
    >>> ecg = scorer.prepare(Recording(np.zeros((12, 5000), np.float32), sampling_rate=500))
    >>> scorer.score(ecg[None], clinical_values([64.0], ["F"])).shape
    (1, 6)
    """

    targets = TARGET_NAMES

    def __init__(
        self,
        model: RiskModel,
        calibration: Calibration,
        *,
        model_version: str,
        recipe: Recipe,
        windows: int,
        thresholds: Mapping[str, Threshold],
        device: str = "cpu",
        certainty: Certainty | None = None,
    ) -> None:
        self.model_version = model_version
        self.recipe = recipe
        self.windows = windows
        self.thresholds = thresholds
        self._calibration = calibration
        self._certainty = certainty
        self.device = device
        self._network = InferenceForm(model).to(device)
        self.form = FP32
        self._engine = engine_of(self._network, device)

    def in_form(self, form: Form) -> Self:
        """Return a scorer that computes its scores, and nothing else, in another numeric form.

        Raises FormError if this host cannot compute in the form, or the encoder cannot be converted.
        """
        other = copy(self)
        other.form = form.name
        prepared = prepare_network(self._network, form, self.device, self.windows)
        other._engine = engine_of(prepared, self.device)
        return other

    @property
    def preprocessing_version(self) -> str:
        """Version of the required preprocessing."""
        return self.recipe.version

    @property
    def decisive(self) -> str:
        """Target whose threshold raises flags; without one, the usual target."""
        return next(iter(self.thresholds), DECISIVE)

    def prepare(self, recording: Recording) -> NDArray[np.float32]:
        """Preprocess an ECG to (windows, 12, samples). Raises UnusableEcgError if it is too short."""
        return self.recipe.prepare(recording, self.windows)

    def score(self, ecgs: NDArray[np.float32], clinical: Floats | None = None) -> Floats:
        """Return calibrated probabilities (n, 6), rounded to 6 decimals, of ECGs (n, windows, 12, samples).

        ``clinical`` (n, 2) are ``clinical_values``; none: age and sex are unknown. Raises ValueError as
        ``embed_and_score`` does.
        """
        unknown = clinical_values([None] * len(ecgs), [None] * len(ecgs))
        return self.embed_and_score(ecgs, unknown if clinical is None else clinical).probabilities

    def embed_and_score(self, ecgs: NDArray[np.float32], clinical: Floats) -> Scores:
        """Return calibrated probabilities, their intervals, projections and novelty of ECGs.

        ``ecgs`` are (n, windows, 12, samples), ``clinical`` (n, 2) are ``clinical_values``, which models
        without a clinical head ignore. A probability always lies within its interval. Raises ValueError
        unless the number of windows is that of the calibration.
        """
        return self.start(ecgs, clinical).result()

    def start(self, ecgs: NDArray[np.float32], clinical: Floats) -> PendingScores:
        """Start ``embed_and_score`` in the background, after what was started before. Raises as it does."""
        if ecgs.ndim != 4 or ecgs.shape[1] != self.windows:
            raise ValueError(f"{self.model_version} wants (n, {self.windows}, 12, samples), got {ecgs.shape}")
        return PendingScores(self._engine.start(ecgs), partial(self._scores, clinical))

    def _scores(self, clinical: Floats, inferred: Inferred) -> Scores:
        logits, projections = self._network.fuse(inferred.logits, clinical), project(inferred.embeddings)
        calibrated = np.round(probabilities(self._calibration.apply(logits)), DECIMALS)
        if self._certainty is None:
            return Scores.alone(calibrated, projections)
        coordinates = self._certainty.coordinates(projections)
        lower, upper = self._certainty.interval(logits, coordinates)
        ends = np.minimum(lower, calibrated), np.maximum(upper, calibrated)
        return Scores(calibrated, projections, *ends, self._certainty.novelty(coordinates))

    def embed(self, ecgs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return embeddings (n, size) of ECGs (n, windows, 12, samples), in the scorer's form."""
        return self._engine.start(ecgs).result().embeddings

    def log_odds(self, clinical: Floats) -> LogOdds:
        """Return the log-odds of the decisive target as a differentiable function, for explanations.

        ``clinical`` (1, 2) are the ``clinical_values`` of the patient.
        """
        return LogOdds(self._network, self._calibration, self.decisive, clinical)

    @torch.inference_mode()
    def embed_in_shared_space(self, ecgs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit vectors (n, dimensions) of ECGs (n, windows, 12, samples), among those of angiograms.

        Raises StenceError if the model was trained without angiograms.
        """
        if self._network.shared_space is None:
            raise StenceError(f"No angiograms were part of the training of {self.model_version}.")
        each = (torch.from_numpy(ecg[None].astype(np.float32)).to(self.device) for ecg in ecgs)
        return torch.cat([self._network.shared_space(ecg) for ecg in each]).cpu().numpy()
