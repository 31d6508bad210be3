"""Studies: what is said of a mistake in a configuration, figures, steps that processes share, tables."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from stence import encoders
from stence.cohort import Split
from stence.encoders.base import Weights
from stence.encoders.recipes import STENCE
from stence.errors import ConfigurationError
from stence.fitting.tasks import BinaryTask
from stence.progress import silent
from stence.study import StudyConfig, load_study, steps
from stence.study.cells import Cell, Cells, Outcome
from stence.study.config import PRESETS, Arm
from stence.study.data import Data
from stence.study.picture import draw
from stence.study.published import RANDOM, Published
from stence.study.statistics import Comparison, rows_of
from stence.study.steps import Step, do_all
from stence.study.table import to_csv, to_markdown
from support.pairs import tiny_pairs

OTIS = {"encoder": "otis", "config": {"width": 8, "depth": 1, "heads": 1}}
QUICK = {
    "name": "quick",
    "backbone": "ridges",
    "encoders": {"tiny": OTIS},
    "endpoints": [70, [20, 90]],
    "label_fractions": {1.0: {}},
    "seeds": [0, 1, 2],
    "teacher": {"embed_dim": 8, "layers": 1, "epochs": 1},
    "pretraining": {"shared": 8, "epochs": 1, "batch_size": 16, "probe_every": 1},
    "finetuning": {"epochs": 1, "patience": 1, "batch_size": 16, "encoder_rate": 1e-3, "head_rate": 1e-3},
    "resamples": 400,
}
IN_ALL = BinaryTask(70, 70)
GREY = BinaryTask(20, 90)


def edited(folder: Path, **keys: object) -> str:
    """The path of a copy of the preset ``small`` with these keys."""
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((PRESETS / "small.yaml").read_text()) | keys))
    return str(path)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"encodres": {}}, "encodres: there is no such key"),
        ({"encoders": {"a": {"encoder": "otis", "finetuning": {"epocs": 1}}}}, "epocs: there is no such key"),
        ({"encoders": {"a": {"encoder": "otiss"}}}, "there is no encoder 'otiss'"),
        ({"encoders": {"a": {"encoder": "otis", "config": {"wide": 1}}}}, "'wide'"),
        ({"encoders": {"a": {"encoder": "otis", "weights": "dinov2-vits14"}}}, "known: otis-base"),
        (
            {
                "encoders": {
                    "a": {"encoder": "ecgfounder", "recipe": "published", "config": {"window_samples": 1500}}
                }
            },
            "ecgfounder reads windows of 1500 samples, and the input recipe ecgfounder-500hz-10s-1",
        ),
        (
            {"endpoints": [[90, 0]]},
            "endpoints: a threshold pair must be 0 <= low <= high <= 100, got 90.0, 0.0",
        ),
        ({"label_fractions": {1.5: {}}}, "label_fractions.1.5"),
        ({"label_fractions": {1.0: {"seed": 3}}}, "leave them out: label_fractions.1.seed"),
        ({"teacher": {"seed": 3}}, "leave them out: teacher.seed"),
        ({"seeds": [4, 4]}, "seeds: Value error, each may stand here once only"),
        ({"name": "../elsewhere"}, "name: "),
    ],
)
def test_every_mistake_in_a_configuration_is_named(
    tmp_path: Path, keys: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_study(edited(tmp_path, **keys))
    assert told in str(refusal.value)


def test_what_differs_of_an_encoder_and_a_fraction_reaches_its_trainings(tmp_path: Path) -> None:
    choices = {
        "a": {
            "encoder": "otis",
            "pretraining": {"ecg_rate": 0.5},
            "finetuning": {"epochs": 7, "head_rate": 0.5},
        },
        "b": {"encoder": "xecg"},
    }
    config = load_study(edited(tmp_path, encoders=choices, label_fractions={0.2: {"epochs": 9}, 1.0: {}}))
    a, b = config.finetuning_of("a", 0.2, seed=4), config.finetuning_of("b", 1.0, seed=5)
    assert (a.encoder, a.epochs, a.head_rate, a.label_fraction, a.seed) == ("otis", 9, 0.5, 0.2, 4)
    assert (b.encoder, b.epochs, b.head_rate, b.label_fraction, b.seed) == ("xecg", 20, 3e-3, 1.0, 5)
    assert config.finetuning_of("a", 1.0, 0).epochs == 7
    assert config.pretraining_of("a", 3).ecg_rate == 0.5
    assert config.pretraining_of("b", 3).ecg_rate == 3e-3
    assert config.pretraining_of("b", 3).seed == config.teacher_of(3).seed == 3


def by_pairs(score: np.ndarray, label: np.ndarray) -> float:
    """AUROC by its definition; NaN without cases or controls."""
    cases, controls = score[label == 1, None], score[label == 0]
    both = (cases > controls) + 0.5 * (cases == controls)
    return float(both.mean()) if both.size else float("nan")


def made_up() -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Labels with a grey zone, patients with one to three ECGs, and two arms' logits of three seeds."""
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(50) * 7, rng.integers(1, 4, 50))
    label = (rng.random(50) < 0.4).astype(np.float32)
    label[::9] = np.nan
    label = np.repeat(label, np.unique(patients, return_counts=True)[1])
    signal = np.nan_to_num(label, nan=0.5)
    old = [np.round(rng.normal(size=len(label)) + 0.4 * signal, 1) for _ in range(3)]
    new = [np.round(rng.normal(size=len(label)) + gain * signal, 1) for gain in (0.5, 1.5, 3.0)]
    return label, patients, new, old


@pytest.mark.slow
def test_figures_and_intervals_equal_an_independent_calculation() -> None:
    label, patients, new, old = made_up()
    found = Comparison(label, patients, 20_000)
    difference, mean = found.difference(new, old), found.mean(new)

    asked = ~np.isnan(label)
    ecgs_of = {
        patient: np.flatnonzero(asked & (patients == patient)) for patient in np.unique(patients[asked])
    }
    rng, drawn = np.random.default_rng(99), []
    for _ in range(6000):
        rows = np.concatenate([ecgs_of[patient] for patient in rng.choice(list(ecgs_of), len(ecgs_of))])
        seeds = rng.integers(3, size=3)
        pairs = [(by_pairs(new[s][rows], label[rows]), by_pairs(old[s][rows], label[rows])) for s in seeds]
        drawn.append(np.mean(pairs, axis=0))
    of_new, of_old = np.array(drawn).T
    areas = [
        (by_pairs(n[asked], label[asked]), by_pairs(o[asked], label[asked]))
        for n, o in zip(new, old, strict=True)
    ]
    assert mean.value == pytest.approx(np.mean(areas, axis=0)[0], abs=1e-4)
    assert difference.value == pytest.approx(-np.diff(np.mean(areas, axis=0))[0], abs=1e-4)
    assert (mean.lower, mean.upper) == pytest.approx(tuple(np.percentile(of_new, (2.5, 97.5))), abs=0.015)
    expected = tuple(np.percentile(of_new - of_old, (2.5, 97.5)))
    assert (difference.lower, difference.upper) == pytest.approx(expected, abs=0.015)


def test_seeds_that_disagree_widen_the_interval() -> None:
    label, patients, new, old = made_up()
    found = Comparison(label, patients, 1000)
    several, one = found.difference(new, old), found.difference([new[1]], [old[1]])
    assert several.upper - several.lower > 0.1 + one.upper - one.lower
    same = found.difference(new, new)
    assert (same.value, same.lower, same.upper) == (0, 0, 0)


def test_without_cases_there_is_no_figure() -> None:
    nobody = Comparison(np.zeros(6, dtype=np.float32), np.arange(6), 100)
    assert nobody.mean([np.arange(6.0)]).value is None
    assert nobody.mean([]).value is None


def test_two_that_share_the_work_do_every_step_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SECONDS_BETWEEN_LOOKS", 0.01)
    done: list[str] = []

    def step(name: str, *needs: Step) -> Step:
        def work() -> None:
            time.sleep(0.01)
            done.append(name)
            (tmp_path / name).touch()

        return Step(name, tmp_path / name, work, needs)

    first = [step(f"first{number}") for number in range(3)]
    every = [*first, *(step(f"{need.label}-{number}", need) for need in first for number in range(5))]
    threads = [threading.Thread(target=do_all, args=(every, silent)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(done) == sorted(step.label for step in every)
    assert all(done.index(need.label) < done.index(step.label) for step in every for need in step.needs)
    assert {path.name for path in tmp_path.iterdir()} == set(done)


@pytest.fixture(scope="module")
def data() -> Data:
    cohort, angiograms = tiny_pairs()
    return Data({STENCE.version: cohort}, angiograms, datetime(2026, 3, 1, tzinfo=UTC))


def made_outcomes(config: StudyConfig, data: Data) -> dict[Cell, Outcome]:
    """StenCE is better at one endpoint, worthless at the other; one model from scratch is missing."""
    rng, found = np.random.default_rng(0), {}
    for task in config.tasks:
        worst = data.part(Split.TEST, STENCE).degrees.max(axis=1) / 25
        for seed in config.seeds:
            for arm, worth in ((Arm.SCRATCH, 0.2), (Arm.STENCE, 3.0 if task == IN_ALL else 0.2)):
                logits = rng.normal(size=len(worst)) + worth * worst
                found[Cell("tiny", arm, task, 1.0, seed)] = Outcome(logits)
    found[Cell("tiny", Arm.SCRATCH, GREY, 1.0, 2)] = Outcome(
        None, "0 training ECGs with the stenosis and 9 without"
    )
    return found


def test_tables_and_picture_show_gain_and_none_alike(data: Data) -> None:
    config = StudyConfig.model_validate(QUICK)
    outcomes = made_outcomes(config, data)
    rows = rows_of(config, data, outcomes)
    gain, none = rows
    assert (gain.task, gain.verdict, gain.seeds) == (IN_ALL, "gain", 3)
    assert (none.task, none.verdict, none.seeds) == (GREY, "no gain shown", 2)
    assert none.patients < gain.patients == data.part(Split.TEST, STENCE).patient_count
    assert Arm.PUBLISHED not in gain.aurocs

    numbers = list(csv.DictReader(StringIO(to_csv(rows))))
    assert [row["verdict"] for row in numbers] == ["gain", "no gain shown"]
    assert float(numbers[0]["difference"]) == gain.difference.value
    assert float(numbers[0]["difference_lower"]) > 0
    assert numbers[0]["published"] == ""
    assert [numbers[1][key] for key in ("no_up_to", "yes_from")] == ["20.0", "90.0"]

    published = {"tiny": Published(RANDOM, lambda: None, "its configuration names no weights")}
    text = to_markdown(config, data, published, outcomes, rows)
    assert "| tiny | >= 70 % | 1 |" in text
    assert "| tiny | >= 90 % against <= 20 % | 1 |" in text
    assert "Of 2 rows 1 show a gain, 0 a loss, 1 neither, 0 are not known" in text
    assert "tiny: the arm `published` is left out" in text
    assert (
        "Not trained: 0 training ECGs with the stenosis and 9 without: `tiny-scratch-20-90-labels1-seed2`"
        in text
    )

    picture = draw(rows)
    assert picture.startswith(b"\x89PNG")
    assert Image.open(BytesIO(picture)).width > 200
    assert draw(rows) == picture


def studied(config: StudyConfig, data: Data, weights: Weights | None, folder: Path) -> dict[Cell, Outcome]:
    """All outcomes, where the encoder's published weights are these."""
    folder.mkdir(exist_ok=True)
    published = Published("otis-base" if weights else RANDOM, lambda: weights)
    cells = Cells(config, data, {"tiny": published}, folder, "cpu", silent)
    do_all(cells.steps, silent)
    return cells.outcomes()


def test_imported_weights_get_an_arm_and_begin_pretraining(data: Data, tmp_path: Path) -> None:
    config = StudyConfig.model_validate(QUICK | {"seeds": [0], "endpoints": [70]})
    weights = encoders.build("otis", **OTIS["config"]).state_dict()
    without, imported = studied(config, data, None, tmp_path), studied(config, data, weights, tmp_path)
    assert {cell.arm for cell in without} == {Arm.SCRATCH, Arm.STENCE}
    assert {cell.arm for cell in imported} == set(Arm)
    assert all(len(outcome.logits) == len(data.part(Split.TEST, STENCE)) for outcome in imported.values())

    def logits(outcomes: dict[Cell, Outcome], arm: Arm) -> Iterator[float]:
        return next(outcome.logits.tolist() for cell, outcome in outcomes.items() if cell.arm is arm)

    assert logits(without, Arm.SCRATCH) == logits(imported, Arm.SCRATCH) != logits(imported, Arm.PUBLISHED)
    assert logits(without, Arm.STENCE) != logits(imported, Arm.STENCE)
    assert len(list(tmp_path.glob("tiny-scratch-*.json"))) == 1, "the same training was done twice"


def test_an_endpoint_without_cases_ends_with_a_reason_and_the_others_go_on(
    data: Data, tmp_path: Path
) -> None:
    config = StudyConfig.model_validate(QUICK | {"seeds": [0], "endpoints": [95, 70]})
    outcomes = studied(config, data, None, tmp_path)
    reasons = {cell.task.high: outcome.reason for cell, outcome in outcomes.items()}
    train = len(data.part(Split.TRAIN, STENCE))
    assert reasons == {95: f"0 training ECGs with the stenosis and {train} without", 70: ""}
    assert rows_of(config, data, outcomes)[0].verdict == "not known"
