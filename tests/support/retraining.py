"""All steps of a retraining in order, as the flow calls them."""

from __future__ import annotations

from sqlalchemy import Engine

from stence.objects import ObjectStore
from stence.settings import Settings
from stence.training import STAGES, RetrainConfig, open_retraining


def retrain(
    engine: Engine, store: ObjectStore, settings: Settings, preset: str, config: RetrainConfig
) -> str | None:
    """Return the model's version; None if there are too few new pairs."""
    with open_retraining(engine, store, settings, preset, config) as training:
        if training.skip_reason():
            return None
        inputs = training.prepare()
        workspace = training.gather(inputs)
        for stage in STAGES:
            training.train(workspace, stage)
        return training.publish(workspace, training.evaluate(workspace, inputs))
