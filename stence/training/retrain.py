"""Retraining: what the cath lab added since becomes a judged model version, step by step, unattended.

    worthwhile? -> prepare views -> gather -> teacher -> pretraining -> finetuning -> judge -> publish

Each step goes on where it was killed, when the same training is started again: views are ready in Postgres
one by one, stages have checkpoints. A model exists once its row does, which is written last and together with
its state and the end of the run; files of one that was killed before that are of a version nobody knows.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from safetensors.torch import save_file
from sqlalchemy import Engine, func

from stence import __version__, registry
from stence.angiography.backbones import open_backbone
from stence.angiography.views import prepare_views
from stence.cohort import FeatureSet, gather, gather_angiograms, new_pairs, plan_cohort
from stence.database.outage import patiently
from stence.device import device_of
from stence.fitting.folder import training_folder
from stence.fitting.loop import TrainingHistory
from stence.fitting.start import find_start, origin_of
from stence.fitting.threads import torch_threads
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings
from stence.training import judging, stages
from stence.training.config import RetrainConfig
from stence.training.gate import Verdict
from stence.training.journal import Journal, entered
from stence.training.processes import run_in_processes
from stence.training.publishing import register
from stence.training.supervised import check_size, referral_of
from stence.weights import IMPORTABLES

BY = "stence retrain"


class Retraining:
    """One retraining, whose steps are called in the order in which they stand here."""

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        settings: Settings,
        config: RetrainConfig,
        journal: Journal,
        progress: Progress,
    ) -> None:
        self._engine, self._store, self._settings, self._config = engine, store, settings, config
        self._journal, self._progress = journal, journal.checked(progress)
        self._device = device_of(settings)
        self._recipe = config.finetuning.input
        self._windows = self._recipe.windows(settings.windows_per_ecg)
        self._started = time.monotonic()
        self._until_the_end = ExitStack()

    def skip_reason(self) -> str | None:
        """Why there is too little new to train on, in words; None where a training is worthwhile."""
        minimum = self._settings.min_new_pairs
        days = self._config.days_before_study
        found = patiently(lambda: new_pairs(self._engine, days), self._settings.outage_seconds)
        self._journal.note(new_pairs=found, data_as_of=func.now())
        if found >= minimum:
            return None
        reason = (
            f"{found} new pairs of an ECG and an angiogram since the last training; "
            f"STENCE_MIN_NEW_PAIRS asks for {minimum}"
        )
        self._journal.note(state="skipped", reasons=[reason], finished_at=func.now())
        return reason

    def prepare(self) -> None:
        """Key frames and patch features of every angiogram that has a report."""
        self._journal.note(stage="prepare")
        engine, store, settings, config = self._engine, self._store, self._settings, self._config
        self._start = find_start(store, settings, config.finetuning)
        self._find_champion()  # what is wrong with it is not told after days only
        backbone = open_backbone(config.backbone, store, settings, self._device)
        origin = backbone.version
        if config.backbone in IMPORTABLES:
            origin = origin_of(store, settings, config.backbone)
        self._weights = {"ECG encoder": self._start.origin, "angiogram backbone": origin}
        self._features = FeatureSet(backbone.version, 1 + config.augmented_copies)
        prepare_views(engine, store, settings, backbone, self._features.versions, self._progress)

    def gather(self) -> None:
        """The cohort's ECGs and features, in a folder of this training's own."""
        self._journal.note(stage="gather")
        engine, store, progress = self._engine, self._store, self._progress
        config, settings, features, start = self._config, self._settings, self._features, self._start
        plan = plan_cohort(engine, store, settings, config.days_before_study, progress, features)
        made_by = (self._windows, self._recipe.version, __version__)
        self._until_the_end.close()  # of a try before this one
        self._folder = self._until_the_end.enter_context(
            training_folder(settings, plan.fingerprint, config, start.origin, *made_by)
        )
        if start.weights is not None:
            save_file(dict(start.weights), self._folder / stages.START)
        referral = referral_of(engine, settings, config)
        place = self._folder / stages.COHORT
        cohort = gather(plan, engine, store, settings, place, progress, self._recipe, referral)
        gather_angiograms(plan, engine, store, settings, self._folder / stages.ANGIOGRAMS, progress)
        check_size(cohort, config)
        self._workspace = stages.set_up(self._folder, config)
        self._journal.note(data_fingerprint=cohort.fingerprint)

    def train(self, stage: str) -> TrainingHistory:
        """One of ``stages.STAGES``, in as many processes as the settings say."""
        self._journal.note(stage=stage)
        processes = self._settings.training_processes
        if processes == 1 or stage == stages.FINETUNING:
            stages.run(stage, self._folder, self._device, self._progress)
        elif not self._workspace.is_done(stage):
            run_in_processes(stage, self._folder, self._device, processes, self._progress)
        return self._workspace.history(stage)

    def judge(self) -> Verdict:
        """Measure the model and hold it against the champion; card and stages are stored."""
        self._journal.note(stage="judge")
        windows, workspace = self._windows, self._workspace
        with torch_threads(self._config.cpu_threads):
            fitted = judging.measured(workspace, self._weights, windows, self._device, self._progress)
            champion = self._find_champion()
            challenger = judging.on_test(fitted, workspace, self._device)
            self._verdict = judging.verdict_on(challenger, fitted, workspace, champion)
        fitted.run["seconds"] = round(time.monotonic() - self._started, 1)
        artefact = judging.described(fitted, workspace, self._verdict, champion, windows)
        artefact = judging.with_stages(artefact, workspace, self._store, self._settings.training_prefix)
        self._artefact = judging.with_card(artefact, challenger, self._store, self._settings.card_prefix)
        return self._verdict

    def publish(self) -> str:
        """Write the model's files, then its state, shadow or rejected; the version."""
        self._journal.note(stage="publish")
        version = self._artefact.manifest.model_version
        folder = registry.publish(self._store, self._settings.model_prefix, self._artefact)
        patiently(lambda: self._enter(folder, version), self._settings.outage_seconds)
        self._until_the_end.close()
        shutil.rmtree(self._folder)
        return version

    def close(self) -> None:
        """Let go of the folder; what lies in it stays, unless the model was published."""
        self._until_the_end.close()

    def _find_champion(self) -> RiskScorer | None:
        engine, store, settings = self._engine, self._store, self._settings
        return judging.find_champion(engine, store, settings, self._recipe, self._windows)

    def _enter(self, folder: str, version: str) -> None:
        """State and end of the run in one transaction: the registry never holds half a decision."""
        verdict, outcome = self._verdict, "shadow" if self._verdict.passed else "rejected"
        decide = registry.shadow if verdict.passed else registry.reject
        with self._engine.begin() as connection:
            if self._journal.has_finished(connection):
                return  # committed already, before its connection broke
            register(connection, folder, self._artefact, by=BY)
            decide(connection, version, by=BY, why=verdict.text())
            self._journal.note_in(
                connection,
                state="finished",
                model_version=version,
                outcome=outcome,
                reasons=verdict.reasons,
                figures=self._artefact.manifest.metrics,
                finished_at=func.now(),
            )


@contextmanager
def open_retraining(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    preset: str,
    config: RetrainConfig,
    progress: Progress = silent,
) -> Iterator[Retraining]:
    """A retraining with its row in ``training_runs``, which tells its end whatever that is.

    Raises StenceError where another is at work in this database.
    """
    with entered(engine, preset, config.model_dump(mode="json"), settings) as journal:
        training = Retraining(engine, store, settings, config, journal, progress)
        try:
            yield training
        finally:
            training.close()


def retrain(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    preset: str,
    config: RetrainConfig,
    progress: Progress = silent,
) -> str | None:
    """All steps in order; the version of the model, None where too little is new."""
    with open_retraining(engine, store, settings, preset, config, progress) as training:
        if training.skip_reason():
            return None
        training.prepare()
        training.gather()
        for stage in stages.STAGES:
            training.train(stage)
        training.judge()
        return training.publish()
