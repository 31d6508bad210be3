"""Contrasts of a study: differences between arms, in families whose p-values are adjusted together.

A family answers one question over all encoders, endpoints and shares of labels. Within a family the adjusted
p-values are Holm's, so the probability of any wrong verdict of the family is at most 5 %.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from stence.evaluation.multiplicity import holm
from stence.study.config import ABLATIONS, Arm
from stence.study.measures import Estimate, Measured

LEVEL = 0.05
"""Probability of any wrong verdict within a family."""
MIN_SEEDS = 3
"""Fewest seeds for a verdict. With two, small p-values are too frequent without any effect."""


class Family(StrEnum):
    """Question that a contrast helps to answer."""

    GAIN = "gain"
    """StenCE minus the best honest baseline: published weights where they exist, else scratch."""
    MECHANISM = "mechanism"
    """StenCE minus each ablation: is the gain due to the angiograms of the right patients?"""
    START = "start"
    """StenCE and published weights minus scratch, where published weights exist. No claim about StenCE."""


QUESTIONS: Mapping[Family, str] = {
    Family.GAIN: "does StenCE's pretraining add to the best start without it?",
    Family.MECHANISM: "which part of the pretraining does it?",
    Family.START: "what is any start worth beside random weights?",
}


@dataclass(frozen=True)
class Contrast:
    """The AUROC of arm ``new`` minus that of arm ``old``."""

    new: Arm
    old: Arm
    family: Family

    @property
    def label(self) -> str:
        """Label for tables."""
        return f"{self.new} - {self.old}"


def contrasts_of(arms: Collection[Arm]) -> list[Contrast]:
    """Return the contrasts of an encoder with these arms; the gain comes first.

    >>> [each.label for each in contrasts_of([Arm.SCRATCH, Arm.STENCE])]
    ['StenCE - scratch']
    >>> [each.label for each in contrasts_of([Arm.SCRATCH, Arm.PUBLISHED, Arm.STENCE, Arm.CLIP_ONLY])][:2]
    ['StenCE - published', 'StenCE - CLIP-only']
    """
    is_published = Arm.PUBLISHED in arms
    found = [Contrast(Arm.STENCE, Arm.PUBLISHED if is_published else Arm.SCRATCH, Family.GAIN)]
    found += [Contrast(Arm.STENCE, arm, Family.MECHANISM) for arm in ABLATIONS if arm in arms]
    if is_published:
        found += [Contrast(arm, Arm.SCRATCH, Family.START) for arm in (Arm.STENCE, Arm.PUBLISHED)]
    return found


@dataclass(frozen=True)
class Difference:
    """A contrast as measured for one encoder, endpoint and share of labels."""

    contrast: Contrast
    measured: Measured | None
    """None if the AUROC of an arm is not defined."""
    seeds: int
    """Seeds with models of both arms."""
    tests: int = 0
    """Tests of the family in the study."""
    adjusted: float | None = None
    """Holm's adjusted p; None if nothing can be tested."""

    @property
    def can_tell(self) -> bool:
        """True if there is a test: enough seeds, and defined AUROCs."""
        return self.measured is not None and self.seeds >= MIN_SEEDS

    @property
    def p(self) -> float | None:
        """Two-sided p-value before adjustment; None if nothing can be tested."""
        return self.measured.p if self.measured and self.can_tell else None

    @property
    def estimate(self) -> Estimate:
        """Value and ordinary 95 % interval."""
        return self.measured.estimate() if self.measured else Estimate(None, None, None)

    @property
    def simultaneous(self) -> Estimate:
        """Value and Bonferroni interval: with 95 % probability all those of the family hold their truth."""
        if self.measured is None or not self.tests:
            return Estimate(None, None, None)
        return self.measured.estimate(1 - LEVEL / self.tests)

    @property
    def verdict(self) -> str:
        """Statement that holds together with all others of the family; ``gain`` only in family gain."""
        higher, lower, neither = _WORDS[self.contrast.family is Family.GAIN]
        if self.adjusted is None or self.measured is None:
            return "cannot tell"
        if self.adjusted > LEVEL:
            return neither
        return higher if self.measured.value > 0 else lower


_WORDS = {
    True: ("gain", "loss", "no gain shown"),
    False: ("higher", "lower", "no difference shown"),
}


def adjusted(differences: Iterable[Difference]) -> list[Difference]:
    """Return the differences of a whole study, in order, with the p-values of each family adjusted."""
    found = list(differences)
    for family in Family:
        tested = [
            (place, each.p)
            for place, each in enumerate(found)
            if each.contrast.family is family and each.p is not None
        ]
        for (place, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            found[place] = replace(found[place], tests=len(tested), adjusted=float(p))
    return found
