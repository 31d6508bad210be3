"""Tasks of fine-tuning: the product's tree of questions, and other labels for studies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stence.cohort import Part
from stence.evaluation.evaluate import auroc
from stence.fitting.losses import label_loss, tree_loss
from stence.models import TARGET_NAMES
from stence.models.coherence import answers, probabilities


class Task(ABC):
    """Binary labels of every ECG, one per output of the network."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the labels."""

    @abstractmethod
    def answers(self, part: Part) -> NDArray[np.float32]:
        """Return the labels (n, outputs): 1, 0, or NaN if not asked or unknown."""

    @abstractmethod
    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """Return the AUROC per patient of logits (n, outputs) of a part, which selects the best epoch."""

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return sample weights, per ECG (n,) or per label (n, outputs).

        The weight is 1 / number of the patient's ECGs with a label; 0 for an ECG without labels.
        """
        return shares(patients, np.asarray((~np.isnan(answers)).any(axis=1)))

    def loss(self, logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the training loss of a batch."""
        return tree_loss(logits, answers, weights, smoothing)


@dataclass(frozen=True)
class TreeTask(Task):
    """The product's six targets as a tree of questions, see ``stence.models.coherence``."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the targets."""
        return TARGET_NAMES

    def answers(self, part: Part) -> NDArray[np.float32]:
        """Return the answers (n, 6); NaN if the parent's answer is no, or the cath report leaves it open."""
        return answers(part.labels)

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """Return the mean AUROC of the six targets."""
        return auroc(probabilities(logits), part.labels, part.patients)


@dataclass(frozen=True)
class BinaryTask(Task):
    """StenCE's fine-tuning task: the patient's worst segment, major or minor, is narrowed by ``high`` %.

    Patients between ``low`` and ``high`` are in a grey zone and left out. With equal values there is no grey
    zone. The class weights are ``sqrt(n / n_class)``, counted in patients. Raises ValueError unless
    0 < high <= 100 and 0 <= low <= high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.high <= 100 and 0 <= self.low <= self.high):
            raise ValueError(f"a threshold pair must be 0 <= low <= high <= 100, got {self.low}, {self.high}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of the single label."""
        return (f"worst_{self.high:g}",)

    def answers(self, part: Part) -> NDArray[np.float32]:
        """Return labels: 1 from ``high``, 0 up to ``low`` (below ``low`` if both are equal), else NaN."""
        worst = part.degrees.max(axis=1, initial=0)
        grey = (worst > self.low) & (worst < self.high)
        return np.where(grey, np.nan, worst >= self.high).astype(np.float32)[:, None]

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return sample weights: the base class's, times the class weight; 0 in the grey zone."""
        return balanced(super().weights(answers, patients), answers[:, 0])

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """Return the AUROC."""
        return auroc(logits, self.answers(part), part.patients)


@dataclass(frozen=True)
class LabelTask(Task):
    """Independent named labels, which are the ``labels`` (n, names) of a part.

    ECGs with an unknown label are left out for this label. The class weights of each label are
    ``sqrt(n / n_class)``, counted in patients.
    """

    names: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.names

    def answers(self, part: Part) -> NDArray[np.float32]:
        """Return a copy of the labels."""
        return part.labels.copy()

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return weights (n, names): 1 / number of the patient's ECGs with this label, times class weight."""
        return np.stack([balanced(shares(patients, ~np.isnan(one)), one) for one in answers.T], axis=1)

    def loss(self, logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the cross-entropy of the known labels."""
        return label_loss(logits, answers, weights, smoothing)

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """Return the mean AUROC of the labels with both cases and controls."""
        return auroc(logits, part.labels, part.patients)


TREE = TreeTask()


def shares(patients: NDArray[np.int64], asked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 / number of the patient's ``asked`` ECGs (n,); 0 for other ECGs."""
    _, patient = np.unique(patients, return_inverse=True)
    counts = np.bincount(patient, weights=asked)[patient]
    return np.divide(asked, counts, out=np.zeros(len(patients)), where=asked)


def balanced(weights: NDArray[np.float64], answer: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``weights`` (n,) times ``sqrt(n / n_class)`` of each class in ``answer`` (n,), by weight."""
    weighed, total = weights.copy(), weights.sum()
    for members in (answer == 0, answer == 1):
        if members.any():
            weighed[members] *= np.sqrt(total / weights[members].sum())
    return weighed
