"""Operating characteristics of the gate, by simulation with the product's own functions.

    python tests/benchmarks/gate.py [--repeats 2000] [--years 400] [--former-years 80] [part …]

Parts: looks, years, calibration, subgroups. Scores are binormal within the classes; ``rho`` is the share of
the scores' noise that both models have in common. The former rule (lower end of the 95 % interval of the
difference above -.01; calibration error at most .15 and .03 above the champion's; a subgroup fails if the
upper end is below -.05) runs on the same draws.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from stence.domain.checks import Result
from stence.evaluation.metrics import BinaryPredictions, calibration_errors
from stence.evaluation.paired import Areas, areas
from stence.evaluation.recalibration import level
from stence.training.gate import GateConfig, without_luck
from stence.training.gate.calibrated import _power, calibrated
from stence.training.gate.discrimination import (
    CERTAIN,
    POWER,
    better,
    chance,
    detectable,
    look_alpha,
    margin_of,
    not_worse,
)
from stence.training.gate.fairness import _served, _worst

AUROC, PREVALENCE, SEED_SD = 0.72, 0.44, 0.01
WEEKS = 52
CONFIG = GateConfig()
Reals = NDArray[np.float64]


class Test:
    """Test patients whose models share a part ``rho`` of their noise."""

    def __init__(self, rng: np.random.Generator, patients: int, rho: float) -> None:
        self.rng, self.rho, self.patients = rng, rho, np.arange(patients)
        self.label = (rng.uniform(size=patients) < PREVALENCE).astype(np.float32)
        self.common = rng.normal(size=patients)

    def model(self, auroc: float) -> BinaryPredictions:
        """A model of this true AUROC, with scores that are no probabilities."""
        own = self.rng.normal(size=len(self.label))
        noise = np.sqrt(self.rho) * self.common + np.sqrt(1 - self.rho) * own
        return BinaryPredictions(np.sqrt(2) * norm.ppf(auroc) * self.label + noise + 50, self.label, 0.5)

    def compare(self, new: BinaryPredictions, old: BinaryPredictions, size: int | None = None) -> Areas:
        """AUROCs and covariance on the first patients."""
        seen = self.patients < (size or len(self.label))
        return areas([new.among(seen), old.among(seen)], self.patients[seen])

    def auroc(self, model: BinaryPredictions, size: int) -> float:
        """AUROC on the first patients, by ranks: without ties."""
        case = self.label[:size] == 1
        rank = np.empty(size)
        rank[np.argsort(model.probability[:size])] = np.arange(size)
        cases = int(case.sum())
        return float((rank[case].sum() - cases * (cases - 1) / 2) / (cases * (size - cases)))


def looks(repeats: int) -> Iterator[str]:
    """How often a challenger passes, fails, or the gate cannot tell; printed and simulated power."""
    yield "patients  rho  SE    margin | true difference: passes/fails/cannot tell (former rule passes)"
    differences = (-0.10, -0.05, -0.02, 0.0, 0.02, 0.05)
    for patients in (200, 400, 800):
        for rho in (0.6, 0.9):
            rng = np.random.default_rng(patients)
            cells, errors = [], np.zeros(1)
            for true in differences:
                found, errors, former = judged(rng, patients, rho, true, repeats)
                shares = "/".join(f"{np.mean(found == each):.3f}" for each in Result)
                cells.append(f"{true:+.2f}: {shares} ({former:.3f})")
            error = float(errors.mean())
            yield f"{patients:8d} {rho:4.1f} {error:.4f} {margin_of(error, CONFIG):.3f} | " + "  ".join(cells)
            yield from powers(rng, patients, rho, error, repeats)
    yield f"Monte-Carlo error at most {0.5 / np.sqrt(repeats):.3f}"


def judged(
    rng: np.random.Generator, patients: int, rho: float, true: float, repeats: int
) -> tuple[NDArray[np.str_], Reals, float]:
    """Results of ``not_worse``, standard errors, and the share that the former rule passes."""
    results, errors, former = [], [], []
    for _ in range(repeats):
        test = Test(rng, patients, rho)
        difference, error = test.compare(test.model(AUROC + true), test.model(AUROC)).contrast([1, -1])
        results.append(not_worse(difference, error, CONFIG).result.value)
        errors.append(error)
        former.append(difference - 1.96 * error > -0.01)
    return np.array(results), np.array(errors), float(np.mean(former))


def powers(rng: np.random.Generator, patients: int, rho: float, error: float, repeats: int) -> Iterator[str]:
    """Power that the findings print beside the one that is simulated."""
    found, errors, _ = judged(rng, patients, rho, -detectable(error), repeats)
    equal, _, _ = judged(rng, patients, rho, 0.0, repeats)
    printed = np.mean([chance(margin_of(e, CONFIG) - CERTAIN * e, e) for e in errors])
    yield (
        f"{'':20} loss of {detectable(error):.3f} found: printed {POWER:.2f}, simulated "
        f"{np.mean(found == Result.FAILED):.3f}; equal passes: printed {printed:.3f}, simulated "
        f"{np.mean(equal == Result.PASSED):.3f}"
    )


def years(count: int, former: int) -> Iterator[str]:
    """A year of weekly retrainings that are no better on average, and one with a better model each week."""
    yield "patients  rho  test set  champion  gain | new rule: years with a promotion, of a truly no better"
    yield "   model; promotions: card - truth as shown, as measured | former rule: years, card - truth"
    for gain, champion in ((0.0, "average"), (0.0, "a seed"), (0.05, "average")):
        for patients in (200, 400, 800):
            for rho in (0.6, 0.9):
                for growing in (False, True) if not gain else (False,):
                    yield one_kind_of_year(count, former, patients, rho, growing, champion, gain)
    yield f"Monte-Carlo error at most {0.5 / np.sqrt(count):.3f} of a share"


def one_kind_of_year(
    count: int, former: int, patients: int, rho: float, growing: bool, champion: str, gain: float
) -> str:
    """One row of the table."""
    rng = np.random.default_rng(patients + int(10 * rho))
    new = [year(rng, patients, rho, growing, champion, gain, former=False) for _ in range(count)]
    old = [year(rng, patients, rho, growing, champion, gain, former=True) for _ in range(former)]
    shown, measured, worse = (np.array([one[i] for of in new for one in of]) for i in range(3))
    lucky = np.array([one[1] for of in old for one in of])
    bad = np.mean([any(one[2] for one in of) for of in new])
    return (
        f"{patients:8d} {rho:4.1f}  {'growing' if growing else 'fixed':8}  {champion:8}  {gain:.2f} | "
        f"{np.mean([bool(of) for of in new]):.3f}, {bad:.3f}; {len(shown)} promotions: {mean(shown)}, "
        f"{mean(measured)}, truly no better {worse.sum():.0f} | "
        f"{np.mean([bool(of) for of in old]) if old else np.nan:.3f}, {mean(lucky)}"
    )


def mean(values: Reals) -> str:
    """Mean and its Monte-Carlo error."""
    if len(values) < 2:
        return "-"
    return f"{values.mean():+.4f} (MC {values.std() / np.sqrt(len(values)):.4f})"


def year(
    rng: np.random.Generator,
    patients: int,
    rho: float,
    growing: bool,
    champion: str,
    gain: float,
    *,
    former: bool,
) -> list[tuple[float, float, bool]]:
    """Promotions of a year: card - truth as shown and as measured, and whether it was truly no better.

    How easy the year's test patients are for all models is no matter of selection: the mean of measured -
    true over all models of the year is taken off, which leaves the bias and saves many years (a control
    variate).
    """
    test = Test(rng, 2 * patients if growing else patients, rho)
    reigning = AUROC + (rng.normal(0, SEED_SD) if champion == "a seed" else 0.0)
    old, promoted, luck = test.model(reigning), [], []
    alpha = look_alpha(7, CONFIG)
    least = 0.0 if former else float(norm.isf(alpha)) * CONFIG.retraining_sd * np.sqrt(2)
    for week in range(WEEKS):
        true = AUROC + gain + rng.normal(0, SEED_SD)
        new = test.model(true)
        size = patients + (patients * week // WEEKS if growing else 0)
        luck.append(test.auroc(new, size) - true)
        if test.auroc(new, size) - test.auroc(old, size) <= least:
            continue  # neither rule can pass it: this saves the standard error
        found = test.compare(new, old, size)
        difference, error = found.contrast([1, -1])
        if former:
            passed = difference - 1.96 * error > -0.01
        else:
            passed = better(difference, error, alpha, CONFIG).result is Result.PASSED
        if passed:
            shown = without_luck(found, CONFIG)["value"]
            promoted.append((shown - true, float(found.values[0]) - true, true <= reigning))
            old, reigning = new, true
    ease = float(np.mean(luck))
    return [(shown - ease, measured - ease, worse) for shown, measured, worse in promoted]


def calibration(repeats: int) -> Iterator[str]:
    """A perfectly calibrated model, and models with odds 1.6 times too high or too small a slope."""
    yield "patients  model        | passes/fails/cannot tell: level, slope; both | power printed | former"
    worlds = {
        "perfect": (0.0, 1.0),
        "odds 1.6 x": (np.log(1.6), 1.0),
        "slope 0.5": (0.0, 2.0),
        "slope .39": (0.0, 2.56),
    }
    for patients in (100, 150, 200, 400, 800):
        rng = np.random.default_rng(patients)
        for name, (shift, stretch) in worlds.items():
            yield calibration_row(rng, patients, name, shift, stretch, repeats)


def calibration_row(
    rng: np.random.Generator, patients: int, name: str, shift: float, stretch: float, repeats: int
) -> str:
    """One row of the table."""
    mu = float(np.sqrt(2) * norm.ppf(AUROC))
    results: list[Counter[str]] = [Counter(), Counter()]
    both, power, former = [], [], []
    for _ in range(repeats):
        test = Test(rng, patients, 0.9)
        truth = [
            mu * (model.probability - 50) - mu**2 / 2 + np.log(PREVALENCE / (1 - PREVALENCE))
            for model in (test.model(AUROC), test.model(AUROC))
        ]
        new = BinaryPredictions(expit(stretch * truth[0] + shift), test.label, 0.5)
        old = BinaryPredictions(expit(truth[1]), test.label, 0.5)
        checks = list(calibrated(new, test.patients, CONFIG))
        for counted, check in zip(results, checks, strict=True):
            counted[check.result.value] += 1
        both.append(all(check.result is Result.PASSED for check in checks))
        power.append(_power(level(new, test.patients), *np.log(CONFIG.odds_factors)))
        once = np.ones((1, patients))
        mine, theirs = (float(calibration_errors(each, once)[0]) for each in (new, old))
        former.append(mine <= min(0.15, theirs + 0.03))
    shares = ["/".join(f"{counted[each.value] / repeats:.3f}" for each in Result) for counted in results]
    return (
        f"{patients:8d}  {name:12} | {'  '.join(shares)}  {np.mean(both):.3f} | {np.mean(power):.3f} | "
        f"{np.mean(former):.3f}"
    )


def subgroups(repeats: int) -> Iterator[str]:
    """One of six groups is truly worse."""
    yield "patients of the group  rho  true difference | passes/fails/cannot tell | former passes"
    z = float(norm.isf(0.05 / 6))
    for patients in (50, 100, 200, 400):
        for rho in (0.6, 0.9):
            rng = np.random.default_rng(patients)
            for true in (0.0, -0.05, -0.10, -0.15):
                found, former = Counter[str](), 0
                for _ in range(repeats):
                    test = Test(rng, patients, rho)
                    both = test.compare(test.model(AUROC + true), test.model(AUROC))
                    found[_worst(_served(both, z, CONFIG)[0]).value] += 1
                    difference, error = both.contrast([1, -1])
                    former += difference + 1.96 * error >= -0.05 and both.values[0] >= 0.5
                shares = "/".join(f"{found[each.value] / repeats:.3f}" for each in Result)
                yield f"{patients:21d} {rho:4.1f}  {true:+.2f} | {shares} | {former / repeats:.3f}"


def main() -> None:
    """Print the tables that are asked for."""
    parts = {"looks": looks, "calibration": calibration, "subgroups": subgroups}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*parts, "years"], choices=[*parts, "years"])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--years", type=int, default=400)
    parser.add_argument(
        "--former-years", type=int, default=80, help="years of the former rule: they are slow"
    )
    given = parser.parse_args()
    for name in given.parts:
        print(f"\n# {name}")
        lines = years(given.years, given.former_years) if name == "years" else parts[name](given.repeats)
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
