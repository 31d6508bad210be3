"""Discrimination: above chance, not worse than the champion, better than it, better than a baseline.

Differences of AUROCs are paired by patient, with DeLong's standard error for several ECGs a patient.
"""

from __future__ import annotations

from scipy.stats import norm

from stence.domain.checks import Check, Result
from stence.evaluation.paired import Areas
from stence.training.gate.config import GateConfig

CERTAIN = 1.645
"""Standard errors of a one-sided bound of 95 %."""
POWER = 0.8
EQUAL_PASSES = 0.9
"""Chance of an equal model to be shown not worse, for which the margin is chosen."""
YEAR = 365.0


def above_chance(areas: Areas, config: GateConfig) -> Check:
    """Check that the challenger's AUROC, the first of ``areas``, is above the floor."""
    area, error = areas.contrast([1.0, *[0.0] * (len(areas.values) - 1)])
    low, high = area - 1.96 * error, area + 1.96 * error
    return Check(
        "AUROC",
        Result.PASSED if low > config.auroc_floor else Result.FAILED,
        f"AUROC {config.target} {area:.3f} (95 % interval {low:.3f} to {high:.3f}), must be above "
        f"{config.auroc_floor:g}",
    )


def margin_of(error: float, config: GateConfig) -> float:
    """Return the loss that is the least to be shown absent in 9 of 10 equal models, within the bounds.

    ``error`` is the standard error of the difference.

    >>> round(margin_of(0.0115, GateConfig()), 3), margin_of(0.03, GateConfig())
    (0.034, 0.05)
    """
    low, high = config.auroc_margin
    return min(max((CERTAIN + float(norm.ppf(EQUAL_PASSES))) * error, low), high)


def not_worse(difference: float, error: float, config: GateConfig) -> Check:
    """Check that a challenger is not worse than the champion, of the ``difference`` of AUROCs and its error.

    Passed if the loss is shown to be smaller than the margin; failed if any loss is shown; else the sample
    cannot tell. Both bounds are one-sided of 95 %, so an equal model fails in 5 %.
    """
    margin = margin_of(error, config)
    low, high = difference - CERTAIN * error, difference + CERTAIN * error
    result = Result.PASSED if low > -margin else Result.FAILED if high < 0 else Result.CANNOT_TELL
    equal = chance(margin - CERTAIN * error, error)
    return Check(
        "AUROC against the champion",
        result,
        f"AUROC {config.target} differs by {difference:+.3f} (90 % interval {low:+.3f} to {high:+.3f}) from "
        f"the champion's, the lower bound must be above {-margin:.3f}; a loss of {detectable(error):.3f} is "
        f"found with {POWER:.0%} power, and an equal model passes in {equal:.0%}",
    )


def look_alpha(days_since_look: float | None, config: GateConfig) -> float:
    """Return the chance of error of this look: a year's, by the share of a year since the last look.

    Looks at the same test patients add up their chances, so a year of looks, however many, has no more than
    ``alpha_per_year`` (alpha spending by calendar time, Lan and DeMets 1983). None: the first look of all.

    >>> round(52 * look_alpha(7, GateConfig()), 3), round(look_alpha(None, GateConfig()), 4)
    (0.05, 0.0123)
    """
    days = config.unused_days if days_since_look is None else days_since_look
    return config.alpha_per_year * min(max(days, 0.0), config.unused_days) / YEAR


def better(difference: float, error: float, alpha: float, config: GateConfig) -> Check:
    """Check that a challenger is better than the champion: by more than chance and another seed explain."""
    spread = float((error**2 + config.retraining_sd**2) ** 0.5)
    needed = float(norm.isf(alpha)) * spread if alpha > 0 else float("inf")
    found = needed + float(norm.ppf(POWER)) * error
    return Check(
        "better than the champion",
        Result.PASSED if difference > needed else Result.CANNOT_TELL,
        f"AUROC {config.target} differs by {difference:+.3f}, must exceed {needed:+.3f} to be called better "
        f"at this look (chance of error {alpha:.2g}); a gain of {found:.3f} is found with {POWER:.0%} power",
        decides=False,
    )


def beats_baseline(difference: float, error: float, config: GateConfig) -> Check:
    """Check that the challenger is better than the baseline, such as age and sex alone."""
    low, high = difference - CERTAIN * error, difference + CERTAIN * error
    return Check(
        "better than the baseline",
        Result.PASSED if low > 0 else Result.FAILED if high < 0 else Result.CANNOT_TELL,
        f"AUROC {config.target} differs by {difference:+.3f} (90 % interval {low:+.3f} to {high:+.3f}) from "
        f"the baseline's, the lower bound must be above 0; a gain of {detectable(error):.3f} is found with "
        f"{POWER:.0%} power",
    )


def detectable(error: float) -> float:
    """Return the true loss that a one-sided test of 5 % finds in 8 of 10 samples.

    ``error`` is the standard error of the difference of two about equal AUROCs. That of a lower AUROC is
    larger, for binormal scores with AUROCs around 0.7 by about the share that the loss is of 1.

    >>> round(detectable(0.0115), 4)
    0.0294
    """
    without = (CERTAIN + float(norm.ppf(POWER))) * error
    return without / (1 - without) if without < 1 else float("inf")


def chance(distance: float, error: float) -> float:
    """Return the chance that an estimate with this standard error is below the truth plus ``distance``.

    >>> chance(0.0, 0.1), chance(0.1, 0.0)
    (0.5, 1.0)
    """
    if error > 0:
        return float(norm.cdf(distance / error))
    return float(distance >= 0)
