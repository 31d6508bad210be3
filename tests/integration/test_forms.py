"""A numeric form may score where it was measured within bounds; the history and each run say which it was."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DBAPIError

from stence import registry, scoring
from stence.database.tables import model_forms, runs
from stence.errors import FormError, RegistryError
from stence.evaluation.forms import FormBounds, FormsConfig
from stence.inference import FP32, available_forms
from stence.objects import ObjectStore
from stence.registry.forms import MeasuredForm, in_chosen_form, record_forms
from stence.settings import Settings
from stence.training import SupervisedConfig, TrainingConfig, train
from stence.training.forms import optimise
from support.champion import crown
from support.database import tampering
from support.scoring import all_rows
from support.toy_hospital import LENIENT, ToyHospital

CONFIG = SupervisedConfig(
    finetuning=TrainingConfig(
        encoder_config={"width": 16, "depth": 1, "heads": 1},
        epochs=1,
        warmup_epochs=0,
        patience=1,
        batch_size=16,
        encoder_rate=5e-3,
        head_rate=5e-3,
    ),
    bootstrap_resamples=100,
    gate=LENIENT,
)
FAST = "fp32-openvino"
WHO = {"by": "ada", "why": "faster"}


def in_history(engine: Engine, *columns: str) -> list[tuple]:
    with engine.connect() as connection:
        rows = connection.execute(
            select(*(model_forms.c[name] for name in columns)).order_by(model_forms.c.id)
        )
        return [tuple(row) for row in rows]


def choose(
    engine: Engine, version: str, form: str, library: str = "openvino 2026.4.1", shift: list | None = None
) -> None:
    row = MeasuredForm("cpu", form, library, "test", {"speed": 2.0}, shift, chosen=True)
    with tampering(engine) as connection:
        record_forms(connection, version, [row], by="ada", why="test")


def champion(engine: Engine, store: ObjectStore, settings: Settings) -> registry.RiskScorer:
    return in_chosen_form(engine, settings, registry.load_champion(engine, store, settings))


@pytest.mark.slow
def test_a_model_is_published_with_its_form_and_optimised_later(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)
    fastest = CONFIG.model_copy(
        update={"forms": FormsConfig(choose="fastest", bounds=FormBounds(probability=1))}
    )
    version = train(engine, store, settings, fastest)
    found = dict(in_history(engine, "form", "chosen"))
    assert tuple(found) == available_forms("cpu")
    (chosen,) = (form for form, is_chosen in found.items() if is_chosen)
    with engine.connect() as connection:
        registered = registry.find(connection, version)
    assert registry.read(store, registered.folder, registered.sha256).manifest.forms == {"cpu": chosen}

    measured = optimise(engine, store, settings, version, form=FAST, **WHO)
    assert [(each.form, each.chosen) for each in measured] == [(FP32, False), (FAST, True)]
    assert max(measured[1].figures["largest"].values()) < 1e-4
    assert measured[1].figures["flags"] == 0
    assert in_history(engine, "form", "chosen", "decided_by", "reason")[-1] == (FAST, True, "ada", "faster")
    assert in_chosen_form(engine, settings, registry.load(registered, store, settings)).form == FAST
    optimise(engine, store, settings, version, form=FP32, **WHO)
    assert in_chosen_form(engine, settings, registry.load(registered, store, settings)).form == FP32


@pytest.mark.slow
def test_a_form_beyond_the_bounds_is_refused_recorded_and_does_not_score(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)
    strict = CONFIG.model_copy(update={"forms": FormsConfig(bounds=FormBounds(probability=0, rank=1))})
    version = train(engine, store, settings, strict)
    assert in_history(engine, "form") == [], "by default no form is measured"
    form = available_forms("cpu")[-1]
    with pytest.raises(
        FormError, match=rf"may not score in {form}: a probability changes by 0\.\d+, more than 0"
    ):
        optimise(engine, store, settings, version, form=form, **WHO)
    assert [row[:2] for row in in_history(engine, "form", "chosen", "refused")] == [
        (FP32, False),
        (form, False),
    ]
    assert "a probability changes" in in_history(engine, "refused")[-1][0]
    with pytest.raises(RegistryError, match="no model version none"):
        optimise(engine, store, settings, "none", **WHO)
    with pytest.raises(FormError, match="a cpu has the forms"):
        optimise(engine, store, settings, version, form="fp16", **WHO)


@pytest.mark.slow
def test_a_run_says_its_form(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    ToyHospital(store, patients=3).write()
    scoring.index(engine, store, settings)
    crown(engine, store, settings)
    choose(engine, "tiny-1", FAST)
    with scoring.open_run(engine, store, settings, champion(engine, store, settings)) as run:
        assert run.score() == 3
    assert all_rows(engine, runs.c.form) == [(FAST,)]
    assert ("ecgs_scored_in_form", 3, "form", FAST) in {
        (m["name"], m["value"], m["slice_key"], m["slice_value"]) for m in run.summary().metrics()
    }


@pytest.mark.slow
def test_workers_of_one_host_score_in_the_chosen_form(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store, patients=3).write()
    scoring.index(engine, store, settings)
    crown(engine, store, settings)
    choose(engine, "tiny-1", FAST)
    scoring.score_with_workers(settings, "tiny-1", scoring.Workload(workers=2))
    assert set(all_rows(engine, runs.c.form)) == {(FAST,)}


@pytest.mark.parametrize(
    ("form", "library", "said"),
    [
        (FAST, "openvino 2025.1", "measured with openvino 2025.1, and this host has openvino"),
        ("int4", "openvino 2026.4.1", "a cpu has the forms"),
    ],
)
def test_a_host_that_cannot_compute_as_measured_scores_in_fp32_and_says_so(
    form: str, library: str, said: str,
    engine: Engine, store: ObjectStore, settings: Settings, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    crown(engine, store, settings)
    choose(engine, "tiny-1", form, library)
    with caplog.at_level(logging.WARNING):
        assert champion(engine, store, settings).form == FP32
    assert f"tiny-1 scores in fp32 on this host, not in {form}." in caplog.text
    assert said in caplog.text


def test_a_form_of_another_kind_of_device_changes_nothing(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    crown(engine, store, settings)
    choose(engine, "tiny-1", FAST)
    with tampering(engine) as connection:
        row = MeasuredForm("cuda", "bf16", "torch", "H100", {}, chosen=True)
        record_forms(connection, "tiny-1", [row], by="ada", why="test")
    assert champion(engine, store, settings).form == FAST


def test_the_history_of_forms_cannot_be_changed(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    crown(engine, store, settings)
    choose(engine, "tiny-1", FAST)
    with pytest.raises(DBAPIError, match="append-only"), tampering(engine) as connection:
        connection.execute(update(model_forms).values(chosen=False))
