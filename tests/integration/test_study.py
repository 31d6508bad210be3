"""A study on the toy hospital: stopped and gone on with, extended, and left alone by what is new there."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import Engine

from stence.cli import main
from stence.errors import ConfigurationError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from stence.study import Report, StudyConfig, cells, run_study
from stence.study.config import ABLATIONS
from support.environment import set_environment
from support.toy_hospital import ToyHospital

PATIENTS = 120
PLAN = {
    "name": "toy",
    "cpu_threads": 1,
    "backbone": "ridges",
    "augmented_copies": 1,
    "encoders": {
        "otis": {"encoder": "otis", "config": {"width": 16, "depth": 1, "heads": 1}, "weights": "otis-base"},
        "founder": {"encoder": "ecgfounder", "config": {"stem": 16, "widths": [16], "blocks": [1]}},
    },
    "endpoints": [70, [10, 90]],
    "label_fractions": {0.5: {"epochs": 3}, 1.0: {}},
    "seeds": [0, 1],
    "teacher": {"embed_dim": 16, "layers": 1, "epochs": 2, "batch_size": 16, "accumulation": 1, "rate": 1e-3},
    "pretraining": {"shared": 16, "epochs": 2, "batch_size": 16, "ecg_rate": 1e-3, "probe_every": 1},
    "finetuning": {"epochs": 2, "patience": 3, "batch_size": 16, "encoder_rate": 5e-3, "head_rate": 5e-3},
    "resamples": 100,
}
FITS, TEACHERS, PAIRS = 2 * 2 * 2 * 2 * 2, 2, 2 * 2
"""Of the plan: two encoders, arms, endpoints, fractions and seeds."""


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    store = open_store(settings.resolved_store_url, settings)
    hospital = ToyHospital(store, PATIENTS)
    hospital.write()
    hospital.add_angiograms()
    return store


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stage was trained to its end."""
    counts: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(cells, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            counts[name] += 1
            return result

        return call

    for name in ("fit", "train_teacher", "pretrain"):
        monkeypatch.setattr(cells, name, counted(name))
    return counts


def ran(engine: Engine, store: ObjectStore, settings: Settings, **changes: object) -> Report:
    return run_study(engine, store, settings, StudyConfig.model_validate(PLAN | changes))


def numbers(store: ObjectStore, name: str = "toy") -> str:
    return store.get(f"studies/{name}/differences.csv").decode()


@pytest.mark.slow
def test_a_stopped_study_computes_only_what_is_missing(
    engine: Engine,
    settings: Settings,
    store: ObjectStore,
    calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        counted = cells.fit

        def stops(*arguments: Any, **named: Any) -> Any:
            if calls["fit"] == 11:
                raise KeyboardInterrupt
            return counted(*arguments, **named)

        patch.setattr(cells, "fit", stops)
        with pytest.raises(KeyboardInterrupt):
            ran(engine, store, settings)
    assert 0 < calls["pretrain"] < PAIRS
    assert not list(store.list("studies/"))

    report = ran(engine, store, settings)
    assert calls == {"fit": FITS, "train_teacher": TEACHERS, "pretrain": PAIRS}
    assert {found.key.removeprefix(report.folder) for found in store.list(report.folder)} == {
        "config.json",
        "differences.csv",
        "picture.png",
        "results.json",
        "table.csv",
        "table.md",
    }
    assert store.get(report.folder + "table.md").decode() == report.markdown
    assert "otis: the arm `published` is left out" in report.markdown
    assert "stence weights import otis-base PATH" in report.markdown
    rows = list(csv.DictReader(StringIO(numbers(store))))
    assert len(rows) == 8
    assert all(row["seeds"] == "2" and row["lower"] for row in rows)
    assert {row["verdict"] for row in rows} == {"cannot tell"}, "two seeds"
    assert len(json.loads(store.get(report.folder + "results.json"))) == 8

    again = ran(engine, store, settings)
    assert again == report
    assert calls["fit"] == FITS, "a finished study was trained again"
    ran(engine, store, settings, name="whole")
    assert numbers(store, "whole") == numbers(store)


@pytest.mark.slow
def test_a_study_keeps_its_data_and_grows_by_what_is_added_to_it(
    engine: Engine, settings: Settings, store: ObjectStore, calls: Counter[str]
) -> None:
    plan = {"encoders": {"otis": PLAN["encoders"]["otis"]}, "endpoints": [70], "label_fractions": {1.0: {}}}
    ran(engine, store, settings, **plan, seeds=[0])
    assert calls == {"fit": 2, "train_teacher": 1, "pretrain": 1}
    late = ToyHospital(store, PATIENTS + 20)
    late.write()
    ran(engine, store, settings, **plan, seeds=[0, 1])
    assert calls == {"fit": 4, "train_teacher": 2, "pretrain": 2}
    ran(engine, store, settings, **plan, seeds=[0], finetuning=PLAN["finetuning"] | {"epochs": 1})
    assert calls == {"fit": 6, "train_teacher": 2, "pretrain": 2}
    with pytest.raises(ConfigurationError, match=r"days_before_study was 30, is 10.*another name"):
        ran(engine, store, settings, **plan, days_before_study=10)


@pytest.mark.slow
def test_ablations_are_arms_with_pretrainings_of_their_own(
    engine: Engine, settings: Settings, store: ObjectStore, calls: Counter[str]
) -> None:
    plan = {"encoders": {"otis": PLAN["encoders"]["otis"]}, "endpoints": [70], "label_fractions": {1.0: {}}}
    ran(engine, store, settings, **plan, seeds=[0])
    before = calls["fit"]
    ran(engine, store, settings, **plan, seeds=[0], ablations=list(ABLATIONS))
    assert calls == {"fit": before + 4, "train_teacher": 1, "pretrain": 1 + 4}
    found = list(csv.DictReader(StringIO(numbers(store))))
    assert [(row["family"], row["new"], row["old"]) for row in found] == [
        ("gain", "StenCE", "scratch"),
        *(("mechanism", "StenCE", arm) for arm in ABLATIONS),
    ]
    cells_of_arms = [
        json.loads(path.read_text())
        for path in (settings.data_dir / "studies" / "toy" / "cells").glob("*.json")
    ]
    assert {cell["arm"] for cell in cells_of_arms} == {"scratch", "StenCE", *ABLATIONS}
    assert len({tuple(cell["logits"]) for cell in cells_of_arms}) == 6, "two arms trained alike"


@pytest.mark.slow
def test_the_command_prints_the_table(
    engine: Engine, settings: Settings, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    plan = PLAN | {"encoders": {"otis": PLAN["encoders"]["otis"]}, "endpoints": [70], "seeds": [0]}
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(plan | {"label_fractions": {1.0: {}}}))
    result = CliRunner().invoke(main, ["study", str(file)])
    assert result.exit_code == 0, result.output
    assert "| otis | >= 70 % | 1 |" in result.output
    assert "studies/toy/" in result.output

    file.write_text(yaml.safe_dump(plan | {"sedes": [1]}))
    result = CliRunner().invoke(main, ["study", str(file)])
    assert result.exit_code == 1
    assert "sedes: there is no such key" in result.output
