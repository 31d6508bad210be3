"""Does pretraining on angiograms pay? Scratch, StenCE, and StenCE with wrong pairs, on the same patients.

    python tests/benchmarks/stence_gain.py FOLDER [--seeds 0 1 2 3 4] [--only-table]

FOLDER is that of a retraining (``data_dir/training/...``) which has gathered its ``cohort`` and
``angiograms``. What each model says of the test patients is kept in FOLDER/gain: the work may be stopped at
any moment, and several processes may each take some seeds. Prints the table of all that is there.

A seed draws which tenth of the training patients has labels, the first weights and the batches. Figures are
AUROC per patient for a stenosis >= 70 % (StenCE's fine-tuning: the worst of all segments) on the test
patients. Differences are of the same seed, with the intervals of a study (patients' and seeds' variance).

There are two controls. Pairs permuted once (``permute_pairs``) give each study another patient's ECGs, for
good: the encoder still learns to tell people apart, by an arbitrary mark. Pairs drawn anew for every batch
leave it nothing to learn from angiograms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Split, read_angiograms, read_cohort
from stence.encoders import Encoder
from stence.evaluation.metrics import auroc
from stence.fitting.finetuning import ecg_logits, first_encoder, fit
from stence.fitting.fractions import label_share
from stence.fitting.pretraining import pretrain
from stence.fitting.studies import Pairs, rows_of
from stence.fitting.tasks import BinaryTask
from stence.fitting.teacher import study_logits, train_teacher
from stence.models import angiographic_targets
from stence.study.measures import Comparison
from stence.training import RetrainConfig, load_preset

TASK = BinaryTask(70, 70)
SHARE = 0.1
EPOCHS = {SHARE: 40, 1.0: 12}
"""Of fine-tuning, in every arm: as many as random weights need; validation patients choose the best one."""
SCRATCH_RATES = {SHARE: 3e-4, 1.0: 1e-3}
"""At which random weights do best; with few labels the preset's 1e-3 gives .02 less."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Start:
    """What an encoder is fine-tuned from; ``reports`` is the share of training patients whose cath reports
    pretraining and teacher saw."""

    name: str
    reports: float = 1.0
    pairs: Literal["true", "permuted", "redrawn"] = "true"

    @property
    def label(self) -> str:
        """For files."""
        return f"{self.name.replace(', ', '-').replace(' ', '-')}-{self.reports:g}"


SCRATCH = Start("scratch", 0)
ALL, FEW = Start("StenCE"), Start("StenCE", SHARE)
CONTROLS = (
    Start("StenCE, pairs permuted", pairs="permuted"),
    Start("StenCE, pairs redrawn", pairs="redrawn"),
    Start("StenCE, pairs permuted", SHARE, pairs="permuted"),
)
STARTS = {SHARE: (SCRATCH, ALL, *CONTROLS[:2], FEW, CONTROLS[2]), 1.0: (SCRATCH, ALL)}
"""By the share of training patients whose labels fine-tuning sees."""


class RedrawnPairs(Pairs):
    """ECGs of studies other than those asked for, others every time."""

    def ecgs(self, studies: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        return super().ecgs(rng.choice(self.studies, len(studies), replace=False), rng)


class Seed:
    """All that is trained with one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.cohort, self.angiograms = read_cohort(folder / "cohort"), read_angiograms(folder / "angiograms")
        self._train, self._validation, self._test = (
            self.cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)
        )
        self._seed, self._config = seed, _config(seed)
        self._kept = folder / "gain" / f"seed{seed}"
        self._kept.mkdir(parents=True, exist_ok=True)

    def train(self, start: Start) -> None:
        """Train whatever is missing of this start."""
        shares = [share for share, starts in STARTS.items() if start in starts]
        missing = [share for share in shares if not self.path(share, start).exists()]
        if missing:
            encoder = None if start == SCRATCH else self._pretrained(start)
            for share in missing:
                np.save(self.path(share, start), self._finetuned(share, encoder))

    def path(self, share: float, start: Start) -> Path:
        """Logits of the test ECGs (n,)."""
        return self._kept / f"{start.label}-labels{share:g}.npy"

    def teacher_path(self, reports: float) -> Path:
        """The teacher's patient logits of the test studies."""
        return self._kept / f"teacher-{reports:g}.npy"

    def _finetuned(self, share: float, encoder: Encoder | None) -> NDArray[np.float64]:
        changed = {
            "label_fraction": share,
            "epochs": EPOCHS[share],
            "patience": EPOCHS[share],
            "scratch_rate": SCRATCH_RATES[share],
        }
        config = self._config.finetuning.model_copy(update=changed)
        saved = self._kept / "finetuning.checkpoint"
        saved.unlink(missing_ok=True)
        model, _ = fit(config, self._train, self._validation, "cpu", saved, self._progress, encoder, TASK)
        return ecg_logits(model, self._test, "cpu")[:, 0]

    def _pretrained(self, start: Start) -> Encoder:
        config, reports = self._config, self._reports(start.reports)
        teacher, _ = train_teacher(
            self.angiograms, config.teacher, "cpu", self._kept / f"teacher-{start.reports:g}.checkpoint",
            self._progress, reports,
        )  # fmt: skip
        test = rows_of(self.angiograms, Split.TEST)
        np.save(self.teacher_path(start.reports), study_logits(teacher, self.angiograms, test, "cpu")[:, 0])
        pairs = RedrawnPairs if start.pairs == "redrawn" else Pairs
        with mock.patch("stence.fitting.pretraining.Pairs", pairs):
            pair, _ = pretrain(
                self.cohort,
                self.angiograms,
                config.pretraining.model_copy(update={"permute_pairs": start.pairs == "permuted"}),
                first_encoder(config.finetuning),
                teacher,
                "cpu",
                self._kept / f"{start.label}.checkpoint",
                self._progress,
                reports=reports,
            )
        return pair.encoder

    def _reports(self, share: float) -> NDArray[np.bool_]:
        """Whose reports may be seen, by study: those of fine-tuning's share, and all validation patients',
        which choose the best epoch in every arm alike."""
        studies = self._train.studies[label_share(self._train.patients, share, self._seed)]
        of_training = np.array([split == Split.TRAIN for split in self.angiograms.splits])
        return np.isin(self.angiograms.study, studies) | ~of_training

    def _progress(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} seed {self._seed} {stage} {done}/{total} {note}\n")


def _config(seed: int) -> RetrainConfig:
    """The preset ``small`` with this seed in every stage."""
    preset = load_preset("small").model_dump()
    seeded = {name: preset[name] | {"seed": seed} for name in ("teacher", "pretraining", "finetuning")}
    return RetrainConfig.model_validate(preset | seeded | {"seed": seed})


class Table:
    """What the seeds found, compared."""

    def __init__(self, folder: Path, seeds: list[Seed]) -> None:
        test = read_cohort(folder / "cohort").parts[Split.TEST]
        self._seeds = seeds
        self._compared = Comparison(TASK.answers(test)[:, 0], test.patients, RESAMPLES)

    def rows(self) -> Iterator[str]:
        """Markdown."""
        yield "| labels | reports seen | start | AUROC | against scratch (95 %) | StenCE against it |"
        yield "|---|---|---|---|---|---|"
        for share, starts in STARTS.items():
            scratch = self._logits(share, SCRATCH)
            for start in starts:
                if not all(seed.path(share, start).exists() for seed in self._seeds):
                    continue
                logits = self._logits(share, start)
                mean = np.mean([areas[0] for areas in self._compared.areas(list(logits))])
                against = "" if start == SCRATCH else self._difference(logits, scratch)
                behind = self._behind(share, start, logits) if start in CONTROLS else ""
                seen = "–" if start == SCRATCH else f"{start.reports:.0%}"
                yield f"| {share:.0%} | {seen} | {start.name} | {mean:.3f} | {against} | {behind} |"
        for reports in (1.0, SHARE):
            yield f"| – | {reports:.0%} | teacher, on the angiograms | {self._teacher(reports):.3f} | | |"

    def _behind(self, share: float, control: Start, logits: NDArray[np.float64]) -> str:
        """How much better StenCE with true pairs is, having seen as many reports."""
        return self._difference(self._logits(share, replace(ALL, reports=control.reports)), logits)

    def _logits(self, share: float, start: Start) -> NDArray[np.float64]:
        return np.stack([np.load(seed.path(share, start)) for seed in self._seeds])

    def _difference(self, new: NDArray[np.float64], old: NDArray[np.float64]) -> str:
        pairs = zip(self._compared.areas(list(new)), self._compared.areas(list(old)), strict=True)
        measured = self._compared.measure([one - other for one, other in pairs])
        return measured.estimate().text("+") if measured else ""

    def _teacher(self, reports: float) -> float:
        """Its AUROC for any major segment, where the report settles it."""
        angiograms = self._seeds[0].angiograms
        targets = angiographic_targets(angiograms.degrees[rows_of(angiograms, Split.TEST)], 70)[:, 0]
        settled = ~np.isnan(targets)
        found = [np.load(seed.teacher_path(reports))[settled] for seed in self._seeds]
        return float(np.mean([auroc(each, targets[settled]) for each in found]))


def main() -> None:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only-table", action="store_true")
    options = parser.parse_args()
    seeds = [Seed(options.folder, number) for number in options.seeds]
    if not options.only_table:
        for start in STARTS[SHARE]:
            for seed in seeds:
                seed.train(start)
    print("\n".join(Table(options.folder, seeds).rows()))


if __name__ == "__main__":
    main()
