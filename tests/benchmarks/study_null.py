"""Does a study claim a gain where there is none? Drawn logits, the study's own statistics.

    python tests/benchmarks/study_null.py [--runs 200] [--resamples 400] [--patients 300] [--seeds 3]

A run draws a whole study: an encoder (``--encoders``), three endpoints and two shares of labels (6 rows),
with published weights; three seeds of each arm; 300 test patients with 1 to 3 ECGs. Logits of an arm have a
part of the patient that all arms share (.35 of the variance), one of the arm (.30), of the seed (.25) and of
the ECG (.10). A seed's models are better or worse than their arm by .02 AUROC (SD); half of this variance is
shared by all rows of the arm, as one pretraining serves them. Published weights reach .72, scratch .62.

Worlds: StenCE equal to published; better by .05; better by .10. Rules: the study's (Holm over the family
``gain``, against published); the former one (StenCE minus scratch per ECG, percentiles of a bootstrap over
seeds and patients, each row by itself); and the former one against published. Shares have their Monte-Carlo
standard error. Also printed: how often the ordinary and the simultaneous 95 % intervals of StenCE - published
hold the truth, and studies with a wrong verdict in either direction.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from stence.evaluation.bootstrap import bounds, resamples
from stence.fitting.tasks import BinaryTask
from stence.study.config import Arm
from stence.study.contrasts import contrasts_of
from stence.study.measures import Comparison, Logits, weighted_areas
from stence.study.statistics import Row, row_of, together

PREVALENCE = {50: 0.56, 70: 0.43, 90: 0.22}
SHARES = (0.1, 1.0)
SHARED, OF_ARM, OF_SEED, OF_ECG = 0.35, 0.30, 0.25, 0.10
SEED_SD = 0.02
PUBLISHED, SCRATCH = 0.72, 0.62


@dataclass(frozen=True)
class Drawn:
    """A row of a study: labels and patients (n,), and logits by arm and seed."""

    encoder: str
    task: BinaryTask
    fraction: float
    label: NDArray[np.float32]
    patients: NDArray[np.int64]
    models: dict[Arm, dict[int, Logits]]


def draw(
    rng: np.random.Generator, effect: float, patients: int, seeds: int, encoders: int
) -> Iterator[Drawn]:
    """Draw all rows of a study."""
    means = {Arm.SCRATCH: SCRATCH, Arm.PUBLISHED: PUBLISHED, Arm.STENCE: PUBLISHED + effect}
    names = [f"encoder {number}" for number in range(encoders)]
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    severity, common = rng.random(patients), rng.normal(size=patients)
    of_pretraining = {key: rng.normal(0, SEED_SD * 0.5**0.5) for key in product(names, means, range(seeds))}
    for encoder in names:
        of_arm = {arm: rng.normal(size=patients) for arm in means}
        for percent, fraction in product(PREVALENCE, SHARES):
            label = severity < PREVALENCE[percent]
            models: dict[Arm, dict[int, Logits]] = {arm: {} for arm in means}
            for arm, seed in product(means, range(seeds)):
                quality = means[arm] + of_pretraining[encoder, arm, seed] + rng.normal(0, SEED_SD * 0.5**0.5)
                logits = np.sqrt(2) * norm.ppf(quality) * label
                logits = logits + SHARED**0.5 * common + OF_ARM**0.5 * of_arm[arm]
                logits = logits + OF_SEED**0.5 * rng.normal(size=patients)
                models[arm][seed] = logits[patient] + OF_ECG**0.5 * rng.normal(size=len(patient))
            task = BinaryTask(percent, percent)
            yield Drawn(encoder, task, fraction, label[patient].astype(np.float32), patient, models)


def studied(rows: list[Drawn], count: int) -> list[Row]:
    """Compute the rows as a study does."""
    contrasts = contrasts_of([Arm.SCRATCH, Arm.PUBLISHED, Arm.STENCE])
    return together(
        [
            row_of(
                row.encoder,
                row.task,
                row.fraction,
                Comparison(row.label, row.patients, count),
                row.models,
                contrasts,
            )
            for row in rows
        ]
    )


class Former:
    """The former verdicts of a row: is the percentile interval of StenCE minus a baseline above 0?"""

    def __init__(self, row: Drawn, count: int) -> None:
        weights = np.concatenate(list(resamples(row.patients, count)))
        self._areas = {
            arm: np.stack([weighted_areas(each, row.label, weights) for each in seeds.values()], axis=1)
            for arm, seeds in row.models.items()
        }

    def claims(self, baseline: Arm) -> bool:
        """Return true for a gain over this arm."""
        drawn = self._areas[Arm.STENCE] - self._areas[baseline]
        seeds = np.random.default_rng(1).integers(drawn.shape[1], size=drawn.shape)
        return bounds(np.take_along_axis(drawn, seeds, axis=1).mean(axis=1))[0] > 0


STUDY = "study: Holm, over published"
OVER_SCRATCH, OVER_PUBLISHED = "former: over scratch", "former, over published"


def world(effect: float, options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of one world."""
    claims: dict[str, list[list[bool]]] = {name: [] for name in (STUDY, OVER_SCRATCH, OVER_PUBLISHED)}
    held, held_together, wrong = [], [], []
    for run in range(options.runs):
        rng = np.random.default_rng([options.first, run, round(100 * effect)])
        drawn = list(draw(rng, effect, options.patients, options.seeds, options.encoders))
        rows = studied(drawn, options.resamples)
        before = [Former(row, options.resamples) for row in drawn]
        claims[STUDY].append([row.gain.verdict == "gain" for row in rows])
        claims[OVER_SCRATCH].append([row.claims(Arm.SCRATCH) for row in before])
        claims[OVER_PUBLISHED].append([row.claims(Arm.PUBLISHED) for row in before])
        held.append(np.mean([_holds(row.gain.estimate, effect) for row in rows]))
        held_together.append(all(_holds(row.gain.simultaneous, effect) for row in rows))
        verdicts = {row.gain.verdict for row in rows}
        wrong.append("loss" in verdicts or (effect == 0 and "gain" in verdicts))
        sys.stderr.write(f"\reffect {effect:+.2f}: {run + 1} of {options.runs}")
    sys.stderr.write("\n")
    for name, found in claims.items():
        anywhere, share = np.any(found, axis=1), np.mean(found, axis=1)
        yield f"| {effect:+.2f} | {name} | {_mean(anywhere)} | {_mean(share)} |"
    yield (
        f"| {effect:+.2f} | intervals hold the truth: {_mean(held)}, all of a study (simultaneous) "
        f"{_mean(held_together)}; wrong verdicts {_mean(wrong)} | | |"
    )


def _holds(estimate: object, truth: float) -> bool:
    return bool(estimate.lower <= truth <= estimate.upper)  # type: ignore[attr-defined]


def _mean(values: object) -> str:
    """Mean and Monte-Carlo standard error; runs are independent, rows of a run are not."""
    numbers = np.asarray(values, dtype=np.float64)
    return f"{numbers.mean():.3f} ± {numbers.std(ddof=1) / len(numbers) ** 0.5:.3f}"


def main() -> None:
    """Draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoders", type=int, default=1)
    parser.add_argument("--effects", type=float, nargs="+", default=[0.0, 0.05, 0.1])
    parser.add_argument("--first", type=int, default=1, help="seed of the draws")
    options = parser.parse_args()
    print("| StenCE over published | rule | any gain claimed | rows with gain |\n|---|---|---|---|")
    for effect in options.effects:
        print("\n".join(world(effect, options)), flush=True)


if __name__ == "__main__":
    main()
