"""Changes of a model's scores by a numeric form, against fp32 on the same ECGs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import spearmanr

from stence.domain.targets import TARGET_NAMES

Floats = NDArray[np.float64]


class FormBounds(BaseModel):
    """Largest changes by a form that may score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.005, ge=0, description="Largest change of a calibrated probability.")
    rank: float = Field(0.999, le=1, description="Least rank correlation (Spearman) of a target.")
    flags_per_1000: float = Field(1.0, ge=0, description="Most flags that change, of 1,000 ECGs.")


class FormsConfig(BaseModel):
    """Choice of a numeric form at the end of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choose: Literal["fastest", "fp32"] = Field(
        "fp32",
        description="fastest: the fastest form within the bounds on this host; fp32: none is measured.",
    )
    bounds: FormBounds = FormBounds()
    ecgs: int = Field(1000, ge=10, description="Most ECGs of each split that forms are measured on.")


@dataclass(frozen=True, slots=True)
class FormChanges:
    """Changes of calibrated probabilities by a form.

    ``largest``, ``mean`` and ``rank`` are by target; ``flags`` is the number of ECGs on the other side of the
    decisive threshold. A rank correlation is 1 where one side does not vary.
    """

    ecgs: int
    largest: dict[str, float]
    mean: dict[str, float]
    rank: dict[str, float]
    flags: int

    @classmethod
    def between(cls, reference: Floats, other: Floats, decisive: str, threshold: float) -> FormChanges:
        """Compare probabilities (n, 6) in fp32 with those in another form.

        >>> before, after = np.array([[0.1] * 6, [0.3] * 6]), np.array([[0.1] * 6, [0.6] * 6])
        >>> changes = FormChanges.between(before, after, "stenosis_70", threshold=0.5)
        >>> changes.flags, changes.rank["stenosis_70"], round(changes.largest["stenosis_70"], 3)
        (1, 1.0, 0.3)
        """
        changed, column = np.abs(other - reference), TARGET_NAMES.index(decisive)
        crossed = (other[:, column] >= threshold) != (reference[:, column] >= threshold)
        ranks = [_rank(a, b) for a, b in zip(reference.T, other.T, strict=True)]
        return cls(
            len(reference), _named(changed.max(axis=0)), _named(changed.mean(axis=0)), _named(ranks),
            int(crossed.sum()),
        )  # fmt: skip

    def beyond(self, bounds: FormBounds) -> Iterator[str]:
        """Yield what is beyond the bounds, with the values."""
        if (largest := max(self.largest.values())) > bounds.probability:
            yield f"a probability changes by {largest:.4f}, more than {bounds.probability:g}"
        if (rank := min(self.rank.values())) < bounds.rank:
            yield f"the rank correlation is {rank:.5f}, less than {bounds.rank:g}"
        if self.flags * 1000 > bounds.flags_per_1000 * self.ecgs:
            yield f"{self.flags} of {self.ecgs} flags change, more than {bounds.flags_per_1000:g} of 1,000"

    def described(self) -> dict[str, Any]:
        """Return the changes as JSON values."""
        return asdict(self)


def _rank(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 1.0
    return float(spearmanr(a, b).statistic)


def _named(values: Floats | list[float]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(TARGET_NAMES, values, strict=True)}
