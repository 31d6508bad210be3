"""The flow ``retrain``: train and evaluate a model version, which enters shadow or is rejected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from httpx import HTTPError
from prefect import flow, get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from stence.fitting.loop import TrainingHistory
from stence.flows import news
from stence.flows.discretion import library_logs
from stence.flows.ingest import index, index_cath_lab
from stence.flows.workplace import dated, open_workplace, step, unseen
from stence.training import STAGES, Retraining, load_preset, open_retraining
from stence.training.gate import Verdict
from stence.training.retrain import OUTCOMES, Candidate, Inputs
from stence.training.stages import TrainingWorkspace


@step("prepare-angiograms")
def prepare(training: Retraining) -> Inputs:
    """Compute key frames and patch features of angiograms that lack them."""
    return training.prepare()


@step("gather")
def gather(training: Retraining, inputs: Inputs) -> TrainingWorkspace:
    """Pair ECGs with studies, and copy both to this machine."""
    return training.gather(inputs)


@step("train", "train-{stage}")
def train(training: Retraining, workspace: TrainingWorkspace, stage: str) -> TrainingHistory:
    """Train one stage, from the last checkpoint of an earlier run if there is one."""
    return training.train(workspace, stage)


@step("judge")
def judge(training: Retraining, workspace: TrainingWorkspace, inputs: Inputs) -> Candidate:
    """Evaluate the model on the test patients, and compare it with the champion."""
    return training.evaluate(workspace, inputs)


@step("publish")
def publish(training: Retraining, workspace: TrainingWorkspace, candidate: Candidate) -> str:
    """Store and register the model; return its version."""
    return training.publish(workspace, candidate)


@flow(name="retrain", flow_run_name=dated("retrain"), persist_result=False)
def retrain(preset: str | None = None) -> dict[str, Any]:
    """Train on new cath lab data, unless there are too few; return the outcome.

    ``preset`` is by default the preset of the settings.
    """
    with library_logs(), open_workplace() as place:
        index(unseen(place))
        index_cath_lab(unseen(place))
        name = preset or place.settings.preset
        config = load_preset(name)
        with open_retraining(place.engine, place.store, place.settings, name, config, Bar()) as training:
            if reason := training.skip_reason():
                return skipped(reason)
            shared = unseen(training)
            inputs = unseen(prepare(shared))
            workspace = unseen(gather(shared, inputs))
            for stage in STAGES:
                show_history(stage, train(shared, workspace, stage))
            candidate = judge(shared, workspace, inputs)
            return decided(publish(shared, workspace, unseen(candidate)), candidate.verdict)


class Bar:
    """Progress of the current stage, as an artifact in Prefect's UI."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Any] = {}
        self._shown: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if note:
            get_run_logger().info("%s %d/%s %s", stage, done, total or "?", note)
        if not total:
            return
        percent = 100 * done // total
        if stage not in self._artifacts:
            self._artifacts[stage] = show(
                create_progress_artifact, progress=percent, key=artifact_key(stage), description=stage
            )
        elif percent != self._shown[stage] and (artifact := self._artifacts[stage]):
            description = f"{stage}: {note}".strip(": ")
            show(update_progress_artifact, artifact_id=artifact, progress=percent, description=description)
        self._shown[stage] = percent


def artifact_key(stage: str) -> str:
    """Return the key of a stage's artifact. Prefect allows lowercase letters, digits and dashes.

    >>> artifact_key("fine-tuned features"), artifact_key("ECGs")
    ('retrain-fine-tuned-features', 'retrain-ecgs')
    """
    return "retrain-" + re.sub("[^a-z0-9]+", "-", stage.lower()).strip("-")


def show(artifact: Callable[..., Any], **content: Any) -> Any:
    """Create or update an artifact; return its id. Return None, and continue, if the server is away."""
    try:
        return artifact(**content)
    except HTTPError as error:
        get_run_logger().warning("Prefect's server did not store an artifact (%s)", type(error).__name__)
        return None


def show_history(stage: str, history: TrainingHistory) -> None:
    """Show a stage's losses and validation AUROCs by epoch."""
    judged = dict(zip(history.judged_epochs, history.validation_aurocs, strict=True))
    rows = [
        {
            "epoch": epoch,
            "loss": round(loss, 4),
            "validation": round(judged[epoch], 4) if epoch in judged else "",
        }
        for epoch, loss in enumerate(history.training_losses, start=1)
    ]
    description = f"{stage}: best epoch {history.best_epoch}"
    show(create_table_artifact, key=f"{artifact_key(stage)}-course", table=rows, description=description)


def skipped(reason: str) -> dict[str, Any]:
    """Show the reason for a skipped training."""
    get_run_logger().info("No training: %s", reason)
    show(create_markdown_artifact, key="retrain-outcome", markdown=f"**Skipped**: {reason}")
    return {"outcome": "skipped", "reason": reason}


def decided(version: str, verdict: Verdict) -> dict[str, Any]:
    """Show the gate's checks."""
    outcome = OUTCOMES[verdict.result]
    news.tell_model("registered" if outcome == "candidate" else outcome, version)
    lines = [
        f"- {check.result if check.passed else f'**{check.result}**'}: {check.finding}"
        for check in verdict.checks
    ]
    markdown = "\n".join([f"**{version}: {outcome}**", "", *lines])
    show(
        create_markdown_artifact, key="retrain-outcome", markdown=markdown, description="The last retraining"
    )
    return {"outcome": outcome, "version": version, "reasons": verdict.reasons}
