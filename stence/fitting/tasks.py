"""What a risk model is asked when it is fine-tuned: the product's tree of questions, or others to study."""

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
    """Yes/no questions to every ECG, one for each output of the network."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The questions' names."""

    @abstractmethod
    def answers(self, part: Part) -> NDArray[np.float32]:
        """The truth about each ECG, (n, outputs): 1, 0, or NaN where a question is not asked."""

    @abstractmethod
    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """How good logits (n, outputs) of a part are: an AUROC, by which the best epoch is chosen."""

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each ECG counts, (n,), or each of its answers, (n, outputs).

        It is its share of its patient's ECGs with an answer; 0 without any.
        """
        return shares(patients, np.asarray((~np.isnan(answers)).any(axis=1)))

    def loss(self, logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """What training brings down, for a batch."""
        return tree_loss(logits, answers, weights, smoothing)


@dataclass(frozen=True)
class TreeTask(Task):
    """The six targets as a tree of questions, see ``stence.models.coherence``: what the product is asked."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """One question a target."""
        return TARGET_NAMES

    def answers(self, part: Part) -> NDArray[np.float32]:
        """NaN where the question before was answered no, or the cath report does not settle it."""
        return answers(part.labels)

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """The mean AUROC of the six targets."""
        return auroc(probabilities(logits), part.labels)


@dataclass(frozen=True)
class BinaryTask(Task):
    """StenCE's fine-tuning: whether the patient's worst segment, major or minor, is narrowed by ``high`` %.

    Patients between ``low`` and ``high`` are in a grey zone and left out; there is none where the two are
    equal. Each class weighs by ``sqrt(n / n_class)``, counted in patients. Raises ValueError unless
    0 < high <= 100 and 0 <= low <= high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.high <= 100 and 0 <= self.low <= self.high):
            raise ValueError(f"a threshold pair must be 0 <= low <= high <= 100, got {self.low}, {self.high}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The one question."""
        return (f"worst_{self.high:g}",)

    def answers(self, part: Part) -> NDArray[np.float32]:
        """Yes from ``high`` on, no up to ``low`` (below it where it is ``high`` as well)."""
        worst = part.degrees.max(axis=1, initial=0)
        grey = (worst > self.low) & (worst < self.high)
        return np.where(grey, np.nan, worst >= self.high).astype(np.float32)[:, None]

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Its share of its patient's ECGs, times the weight of its class; 0 in the grey zone."""
        return balanced(super().weights(answers, patients), answers[:, 0])

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """The AUROC."""
        return auroc(logits, self.answers(part))


@dataclass(frozen=True)
class LabelTask(Task):
    """Any named labels, each asked for itself, of a part whose ``labels`` (n, names) they are.

    An ECG whose label is unknown does not count for this label. Each class of each label weighs by
    ``sqrt(n / n_class)``, counted in patients.
    """

    names: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The labels' names."""
        return self.names

    def answers(self, part: Part) -> NDArray[np.float32]:
        """The labels as they are."""
        return part.labels.copy()

    def weights(self, answers: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each answer, (n, names): its share of its patient's ECGs with an answer, times its class's."""
        return np.stack([balanced(shares(patients, ~np.isnan(one)), one) for one in answers.T], axis=1)

    def loss(self, logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """The cross-entropy of the known labels."""
        return label_loss(logits, answers, weights, smoothing)

    def figure(self, logits: NDArray[np.float64], part: Part) -> float:
        """The mean AUROC of the labels that have both a case and a control."""
        return auroc(logits, part.labels)


TREE = TreeTask()


def shares(patients: NDArray[np.int64], asked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One over the number of the patient's ECGs that are asked anything (n,), 0 for those that are not."""
    _, patient = np.unique(patients, return_inverse=True)
    counts = np.bincount(patient, weights=asked)[patient]
    return np.divide(asked, counts, out=np.zeros(len(patients)), where=asked)


def balanced(weights: NDArray[np.float64], answer: NDArray[np.float32]) -> NDArray[np.float64]:
    """``weights`` (n,) times ``sqrt(n / n_class)`` of each class in ``answer`` (n,), counted in weights."""
    weighed, total = weights.copy(), weights.sum()
    for members in (answer == 0, answer == 1):
        if members.any():
            weighed[members] *= np.sqrt(total / weights[members].sum())
    return weighed
