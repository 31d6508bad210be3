"""Retraining: train and evaluate a new model version on new pairs of ECG and angiogram, unattended.

    worthwhile? -> prepare views -> gather -> teacher -> pretraining -> finetuning -> judge -> publish

A killed training that is started again resumes in the same step: Postgres records each prepared view, and
each stage has a checkpoint. A model exists only when its row exists. The row is written last, in one
transaction with the model's state and the end of the run. No row refers to files of a run killed earlier.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from safetensors.torch import save_file
from sqlalchemy import Connection, Engine, func

from stence import __version__, registry
from stence.angiography.backbones import open_backbone
from stence.angiography.views import prepare_views
from stence.cohort import FeatureSet, gather, gather_angiograms, hold_out, new_pairs, plan_cohort
from stence.cohort.entries import LAYOUT
from stence.cohort.unreferred import gather_unreferred
from stence.database.outage import transact
from stence.device import device_of
from stence.fitting.folder import training_folder
from stence.fitting.loop import TrainingHistory
from stence.fitting.start import Start, find_start
from stence.fitting.threads import torch_threads
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry import Artefact
from stence.registry.forms import MeasuredForm
from stence.settings import Settings
from stence.similar import store_studies
from stence.training import evaluation, stages
from stence.training.attention import attention_picture
from stence.training.config import RetrainConfig
from stence.training.forms import choose_at_publishing
from stence.training.gate import Result, Verdict
from stence.training.journal import Journal, entered
from stence.training.processes import run_in_processes
from stence.training.publishing import enter
from stence.training.shared_space import StudyPlaces
from stence.training.stages import TrainingWorkspace
from stence.training.starts import first_backbone, first_teacher
from stence.training.supervised import check_size, referral_of

BY = "stence retrain"
OUTCOMES = {Result.PASSED: "shadow", Result.CANNOT_TELL: "candidate", Result.FAILED: "rejected"}
"""State of a model after the gate."""


class Inputs(NamedTuple):
    """Inputs of a training besides its cohort; ``origins`` names the initial weights of each network.

    ``backbone`` has the weights of the blocks that are trained with the teacher, if there are any.
    """

    start: Start
    teacher: Start
    backbone: Start
    features: FeatureSet
    origins: Mapping[str, str]


class Candidate(NamedTuple):
    """An evaluated model, ready to be published, with its numeric forms, the gate's verdict and studies."""

    artefact: Artefact
    measured: list[MeasuredForm]
    verdict: Verdict
    studies: StudyPlaces


class Retraining:
    """One retraining. Call its steps in the order of definition; each takes what earlier ones returned."""

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
        self._study_ids: list[str] = []
        """Ids of the cohort's studies, by their numbers in its StudyTable; its folder holds no id."""

    def skip_reason(self) -> str | None:
        """Return the reason to skip the training, too few new pairs; None if the training is worthwhile."""
        minimum = self._settings.min_new_pairs
        days = self._config.days_before_study
        found = transact(self._engine, self._settings.outage_seconds, new_pairs, days)
        self._journal.note(new_pairs=found, data_as_of=func.now())
        if found >= minimum:
            return None
        reason = (
            f"{found} new pairs of an ECG and an angiogram since the last training; "
            f"STENCE_MIN_NEW_PAIRS asks for {minimum}"
        )
        self._journal.note(state="skipped", reasons=[reason], finished_at=func.now())
        return reason

    def prepare(self) -> Inputs:
        """Compute key frames and features of every angiogram with a report.

        Of a backbone that is fine-tuned, the features are the states that enter its first trained block.
        """
        self._journal.note(stage="prepare")
        engine, store, settings, config = self._engine, self._store, self._settings, self._config
        start = find_start(store, settings, config.finetuning)
        self._find_champion()  # an unusable champion fails here, not after days of training
        trained = config.teacher.finetune_blocks
        backbone = open_backbone(config.backbone, store, settings, self._device, trained)
        teacher = first_teacher(store, settings, config, backbone.patch_dim)
        first = first_backbone(store, settings, config, backbone)
        versions, frames = 1 + config.augmented_copies, config.frames_per_view
        features = FeatureSet(backbone.version, versions, frames)
        prepare_views(engine, store, settings, backbone, versions, self._progress, frames)
        origins = {
            "ECG encoder": start.origin,
            "angiogram backbone": first.origin,
            "teacher": teacher.origin,
        }
        return Inputs(start, teacher, first, features, origins)

    def gather(self, inputs: Inputs) -> TrainingWorkspace:
        """Copy the cohort's ECGs and features into this training's own folder."""
        self._journal.note(stage="gather")
        engine, store, progress = self._engine, self._store, self._progress
        config, settings, start, teacher = self._config, self._settings, inputs.start, inputs.teacher
        plan = plan_cohort(engine, store, settings, config.days_before_study, progress, inputs.features)
        plan = hold_out(plan, config.split, engine, settings)
        self._study_ids = [study.study_id for study in plan.studies]
        made_by = (self._windows, self._recipe.version, __version__, LAYOUT)
        self._until_the_end.close()  # the folder of an earlier attempt
        folder = self._until_the_end.enter_context(
            training_folder(settings, plan.fingerprint, config, start.origin, teacher.origin, *made_by)
        )
        for found, name in (
            (start, stages.START),
            (teacher, stages.TEACHER_START),
            (inputs.backbone, stages.BACKBONE_START),
        ):
            if found.weights is not None:
                save_file(dict(found.weights), folder / name)
        referral = referral_of(engine, settings, config)
        place = folder / stages.COHORT
        cohort = gather(plan, engine, store, settings, place, progress, self._recipe, referral)
        gather_angiograms(plan, engine, store, settings, folder / stages.ANGIOGRAMS, progress)
        check_size(cohort, config)
        place, limit = folder / stages.UNREFERRED, config.unreferred_patients
        gather_unreferred(plan, engine, store, settings, place, progress, self._recipe, limit)
        self._journal.note(data_fingerprint=cohort.fingerprint)
        return stages.set_up(folder, config)

    def train(self, workspace: TrainingWorkspace, stage: str) -> TrainingHistory:
        """Run one of ``stages.STAGES`` in the number of processes that the settings name."""
        self._journal.note(stage=stage)
        processes = self._settings.training_processes
        if processes == 1:
            stages.run(stage, workspace.folder, self._device, self._progress)
        elif not workspace.is_done(stage):
            run_in_processes(stage, workspace.folder, self._device, processes, self._progress)
        if stage == stages.TEACHER:
            workspace.apply_teacher(self._device, self._progress)
        return workspace.history(stage)

    def evaluate(self, workspace: TrainingWorkspace, inputs: Inputs) -> Candidate:
        """Evaluate the model, compare it with the champion, and store its card and its stages' weights."""
        self._journal.note(stage="judge")
        windows = self._windows
        with torch_threads(self._config.cpu_threads):
            fitted, studies = evaluation.evaluate_model(
                workspace, inputs.origins, windows, self._device, self._progress
            )
            rival = evaluation.Rival(self._find_champion())
            days = transact(self._engine, self._settings.outage_seconds, registry.days_since_look)
            judged = evaluation.judged(fitted, rival, workspace.cohort, self._config, days, self._device)
        judged.fitted.run["seconds"] = round(time.monotonic() - self._started, 1)
        artefact = evaluation.described(judged, rival, workspace.cohort, self._config, windows)
        artefact = evaluation.with_stages(artefact, workspace, self._store, self._settings.training_prefix)
        attention = attention_picture(workspace, self._engine, self._store, self._settings, self._device)
        cards = self._settings.card_prefix
        artefact = evaluation.with_card(artefact, judged.predicted, self._store, cards, attention)
        found = choose_at_publishing(artefact, workspace.cohort, self._config.forms, self._settings)
        return Candidate(*found, judged.verdict, studies)

    def publish(self, workspace: TrainingWorkspace, candidate: Candidate) -> str:
        """Write the model's files, then its state by the gate's verdict. Return the version."""
        self._journal.note(stage="publish")
        folder = registry.publish(self._store, self._settings.model_prefix, candidate.artefact)
        transact(self._engine, self._settings.outage_seconds, self._enter, folder, candidate)
        self._until_the_end.close()
        shutil.rmtree(workspace.folder)
        return candidate.artefact.manifest.model_version

    def close(self) -> None:
        """Release the folder. Its files stay unless the model was published."""
        self._until_the_end.close()

    def _find_champion(self) -> RiskScorer | None:
        engine, store, settings = self._engine, self._store, self._settings
        return evaluation.find_champion(engine, store, settings, self._recipe, self._windows)

    def _enter(self, connection: Connection, folder: str, candidate: Candidate) -> None:
        """Write the model's state and the end of the run in one transaction."""
        artefact, verdict = candidate.artefact, candidate.verdict
        version = artefact.manifest.model_version
        if self._journal.has_finished(connection):
            return  # an earlier attempt committed before its connection broke
        enter(connection, folder, artefact, verdict, candidate.measured, by=BY)
        if verdict.result is not Result.FAILED:  # a rejected model never comes back
            studies = [self._study_ids[number] for number in candidate.studies.studies]
            store_studies(connection, version, studies, candidate.studies.places)
        self._journal.note_in(
            connection,
            state="finished",
            model_version=version,
            outcome=OUTCOMES[verdict.result],
            reasons=verdict.reasons,
            figures=artefact.manifest.metrics,
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
    """Open a retraining and its row in ``training_runs``. The row records every kind of end.

    Raises StenceError if another retraining is running in this database.
    """
    with entered(engine, preset, config.model_dump(mode="json"), settings) as journal:
        training = Retraining(engine, store, settings, config, journal, progress)
        try:
            yield training
        finally:
            training.close()
