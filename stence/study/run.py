"""Run a study: gather the data, train every missing cell, compare the arms, and store the report."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Engine

from stence import private
from stence.device import device_of
from stence.fitting.threads import torch_threads
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings
from stence.study.cells import Cells
from stence.study.config import StudyConfig
from stence.study.data import gathered
from stence.study.picture import draw
from stence.study.published import published_of
from stence.study.statistics import rows_of
from stence.study.steps import do_all
from stence.study.table import differences_csv, to_csv, to_json, to_markdown

TABLE, NUMBERS, DIFFERENCES = "table.md", "table.csv", "differences.csv"
RESULTS, PICTURE, CONFIG = "results.json", "picture.png", "config.json"


@dataclass(frozen=True)
class Report:
    """The table as Markdown, and the report's folder in the store."""

    markdown: str
    folder: str


def run_study(
    engine: Engine, store: ObjectStore, settings: Settings, config: StudyConfig, progress: Progress = silent
) -> Report:
    """Do all missing trainings of a study, and write its report into the store.

    Several processes of this machine may run the same study; they share its trainings. A killed process
    resumes when it is started again. Data, logits and checkpoints are in ``data_dir/studies/NAME`` until a
    person removes them. Raises StenceError if a teacher or a pretraining has too few data,
    ConfigurationError if the name belongs to a study of other data or the device is not available,
    WeightsError, StoreUnavailableError, DatabaseUnavailableError.
    """
    device = device_of(settings)
    folder = settings.data_dir / "studies" / config.name
    cells_folder = folder / "cells"
    private.make_folder(cells_folder)
    published = {name: published_of(store, settings, choice) for name, choice in config.encoders.items()}
    data = gathered(engine, store, settings, config, folder, progress)
    cells = Cells(config, data, published, cells_folder, device, progress)
    with torch_threads(config.cpu_threads):
        do_all(cells.steps, progress)
        outcomes = cells.outcomes()
        rows = rows_of(config, data, outcomes)
    markdown = to_markdown(config, data, published, outcomes, rows)
    kept = f"{settings.study_prefix}{config.name}/"
    store.put(kept + CONFIG, config.model_dump_json(indent=2).encode())
    store.put(kept + NUMBERS, to_csv(rows).encode())
    store.put(kept + DIFFERENCES, differences_csv(rows).encode())
    store.put(kept + RESULTS, json.dumps(to_json(rows), indent=2).encode())
    store.put(kept + PICTURE, draw(rows))
    store.put(kept + TABLE, markdown.encode())
    return Report(markdown, kept)
