"""The ECGs of one split, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stence.ecg.recipes import STENCE, Recipe
from stence.models.clinical import clinical_values


@dataclass(frozen=True, slots=True)
class Part:
    """The ECGs of one split, as in Example; ECG ``i`` is ``signals[rows[i]]``, read from disk on access.

    ``patients`` (n,) are anonymous patient numbers; ``studies`` (n,) are numbers of the ECGs' studies in the
    cohort's StudyTable; ``labels`` (n, 6); ``degrees`` (n, 16) in percent; ``sex`` (n,) is F, M or empty,
    ``age`` (n,) in years or NaN, both from the ECG file. With labels from a table (``stence.labels``),
    ``labels`` is (n, labels), NaN where unknown, each ECG is a study of its own, and ``degrees`` are NaN.
    ``sample_weight`` (n,) is that of the patient, see Referral; None: all equal. ``indication``
    (n,) are ``indication_code`` of the ECGs, empty where none is stated; None: nowhere. ``recipe`` prepared
    the signals, or will prepare them where they are stored raw.
    """

    contents: tuple[str, ...]
    patients: NDArray[np.int64]
    studies: NDArray[np.int64]
    labels: NDArray[np.float32]
    degrees: NDArray[np.float32]
    sex: NDArray[np.str_]
    age: NDArray[np.float64]
    samples: NDArray[np.int64]
    rows: NDArray[np.int64]
    signals: NDArray[np.float32]
    recipe: Recipe = STENCE
    sample_weight: NDArray[np.float64] | None = None
    indication: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def patient_count(self) -> int:
        """Number of patients."""
        return len(np.unique(self.patients))

    @property
    def clinical(self) -> NDArray[np.float64]:
        """Clinical values (n, 2) as models read them: age and sex, NaN where unknown."""
        return clinical_values(self.age, self.sex)

    def without_age_and_sex(self) -> Part:
        """Return the same ECGs, as if no file stated age or sex."""
        return replace(self, age=np.full(len(self), np.nan), sex=np.full(len(self), "", dtype="U1"))

    @property
    def weights(self) -> NDArray[np.float64]:
        """Sample weights (n,): the patient's weight divided by the number of the patient's ECGs."""
        _, inverse, ecgs = np.unique(self.patients, return_inverse=True, return_counts=True)
        return np.asarray((1.0 if self.sample_weight is None else self.sample_weight) / ecgs[inverse])
