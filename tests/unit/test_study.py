"""Studies: what is said of a mistake in a configuration, figures, steps that processes share, tables."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy import stats

from stence import encoders
from stence.cohort import Split
from stence.ecg.recipes import STENCE
from stence.encoders.base import Weights
from stence.errors import ConfigurationError
from stence.fitting.tasks import BinaryTask
from stence.progress import silent
from stence.study import StudyConfig, load_study, steps
from stence.study.cells import Cell, Cells, Outcome
from stence.study.config import ABLATIONS, BASELINES, PRESETS, Arm
from stence.study.contrasts import Difference, adjusted, contrasts_of
from stence.study.data import Data
from stence.study.measures import Comparison, Estimate, Measured
from stence.study.picture import draw
from stence.study.published import RANDOM, Published
from stence.study.statistics import rows_of
from stence.study.steps import Step, do_all
from stence.study.table import differences_csv, to_csv, to_json, to_markdown
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
        ({"teacher": {"finetune_blocks": 1}}, "leave them out: teacher.finetune_blocks"),
        ({"seeds": [4, 4]}, "seeds: Value error, each may stand here once only"),
        ({"name": "../elsewhere"}, "name: "),
        ({"ablations": ["scratch"]}, "scratch: no ablation; known: CLIP-only, permuted-pairs"),
        ({"ablations": ["CLIP-only", "CLIP-only"]}, "ablations: Value error, each may stand here once only"),
        ({"pretraining": {"permute_pairs": True}}, "leave them out: pretraining.permute_pairs"),
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


def test_each_ablation_changes_one_thing_of_the_pretraining() -> None:
    config = StudyConfig.model_validate(QUICK | {"ablations": list(ABLATIONS)})
    assert config.arms == tuple(Arm)
    stence = config.pretraining_of("tiny", 1).model_dump()
    changed = {
        arm: {key: value for key, value in config.pretraining_of("tiny", 1, arm).model_dump().items()
              if value != stence[key]}
        for arm in ABLATIONS
    }  # fmt: skip
    assert changed == {
        Arm.CLIP_ONLY: {"stenosis_weight": 0},
        Arm.PERMUTED_PAIRS: {"permute_pairs": True},
        Arm.STENOSIS_ONLY: {"objective": "stenosis"},
        Arm.DISTILLATION: {"objective": "distillation"},
    }


def by_pairs(score: np.ndarray, label: np.ndarray, weight: np.ndarray) -> float:
    """AUROC by its definition, of weighted ECGs; NaN without cases or controls."""
    cases, controls = score[label == 1, None], score[label == 0]
    pairs = weight[label == 1, None] * weight[label == 0]
    both = pairs * ((cases > controls) + 0.5 * (cases == controls))
    return float(both.sum() / pairs.sum()) if both.size else float("nan")


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


def difference(
    label: np.ndarray, patients: np.ndarray, new: list[np.ndarray], old: list[np.ndarray], count: int = 400
) -> Measured:
    """The measured difference of seeds' models."""
    compared = Comparison(label, patients, count)
    pairs = zip(compared.areas(new), compared.areas(old), strict=True)
    return compared.measure([one - other for one, other in pairs])


@pytest.mark.slow
def test_figures_and_errors_equal_an_independent_calculation() -> None:
    label, patients, new, old = made_up()
    found = difference(label, patients, new, old, 4000)

    asked = ~np.isnan(label)
    ecgs_of = {each: np.flatnonzero(asked & (patients == each)) for each in np.unique(patients[asked])}
    weight = np.array([1 / max(1, len(ecgs_of.get(patient, ()))) for patient in patients])
    of_seeds = [
        by_pairs(n[asked], label[asked], weight[asked]) - by_pairs(o[asked], label[asked], weight[asked])
        for n, o in zip(new, old, strict=True)
    ]
    rng, drawn = np.random.default_rng(99), []
    for _ in range(2000):
        rows = np.concatenate([ecgs_of[patient] for patient in rng.choice(list(ecgs_of), len(ecgs_of))])
        pairs = [
            by_pairs(n[rows], label[rows], weight[rows]) - by_pairs(o[rows], label[rows], weight[rows])
            for n, o in zip(new, old, strict=True)
        ]
        drawn.append(np.mean(pairs))
    over_patients, over_seeds = np.nanvar(drawn), np.var(of_seeds, ddof=1) / 3
    assert found.value == pytest.approx(np.mean(of_seeds), abs=1e-9)
    assert found.error == pytest.approx(np.sqrt(over_patients + over_seeds), rel=0.03)
    fewest = len(np.unique(patients[label == 1])) - 1
    freedom = (over_patients + over_seeds) ** 2 / (over_patients**2 / fewest + over_seeds**2 / 2)
    assert found.freedom == pytest.approx(freedom, rel=0.03)
    assert found.p == pytest.approx(2 * stats.t.sf(found.value / found.error, found.freedom))
    estimate = found.estimate()
    assert estimate.upper - estimate.value == pytest.approx(
        stats.t.ppf(0.975, found.freedom) * found.error, abs=1e-3
    )


def test_patients_weigh_the_same_however_many_ecgs_they_have() -> None:
    """One case with nine low ECGs, one with a high one: half of the cases rank above the controls."""
    label = np.array([1] * 10 + [0, 0], np.float32)
    patients = np.array([1] * 9 + [2, 3, 4])
    logits = np.array([-1.0] * 9 + [1.0, 0.0, 0.0])
    assert Comparison(label, patients, 100).areas([logits])[0][0] == pytest.approx(0.5)


def test_seeds_that_disagree_widen_the_interval() -> None:
    label, patients, new, old = made_up()
    several, one = difference(label, patients, new, old), difference(label, patients, [new[1]], [old[1]])
    assert several.error > 1.3 * one.error
    assert several.freedom < 6 < one.freedom
    same = difference(label, patients, new, new)
    assert (same.estimate(), same.p) == (Estimate(0, 0, 0), 1)


def test_without_cases_there_is_no_figure() -> None:
    nobody = Comparison(np.zeros(6, dtype=np.float32), np.arange(6), 100)
    assert nobody.measure(nobody.areas([np.arange(6.0)])) is None
    assert nobody.measure([]) is None


def test_the_gain_is_over_published_weights_where_they_exist() -> None:
    with_published = contrasts_of([*BASELINES, Arm.STENCE, Arm.DISTILLATION])
    assert [(each.family, each.label) for each in with_published] == [
        ("gain", "StenCE - published"),
        ("mechanism", "StenCE - distillation"),
        ("start", "StenCE - scratch"),
        ("start", "published - scratch"),
    ]
    without = contrasts_of([Arm.SCRATCH, Arm.STENCE])
    assert [(each.family, each.label) for each in without] == [("gain", "StenCE - scratch")]


def test_verdicts_hold_for_all_tests_of_a_family_together() -> None:
    """One p of .03 is a gain by itself and none among two tests; another family does not count."""
    gain, start = (contrasts_of(BASELINES)[place] for place in (0, 1))
    clear, weak = Measured(0.1, 0.01, 50), Measured(0.1, 0.045, 50)
    assert 0.025 < weak.p < 0.05

    def verdicts(*given: Difference) -> list[str]:
        return [each.verdict for each in adjusted(given)]

    assert verdicts(Difference(gain, weak, 3)) == ["gain"]
    assert verdicts(Difference(gain, weak, 3), Difference(start, weak, 3)) == ["gain", "higher"]
    assert verdicts(Difference(gain, weak, 3), Difference(gain, weak, 3)) == ["no gain shown"] * 2
    assert verdicts(Difference(gain, weak, 3), Difference(gain, clear, 3)) == ["gain"] * 2
    untested = [Difference(gain, clear, 2), Difference(gain, None, 0)]
    found = adjusted([Difference(gain, weak, 3), *untested])
    assert [each.verdict for each in found] == ["gain", "cannot tell", "cannot tell"]
    assert [(each.tests, each.p is None) for each in found] == [(1, False), (0, True), (0, True)]
    assert verdicts(Difference(gain, replace(clear, value=-0.1), 3)) == ["loss"]

    two = adjusted([Difference(gain, weak, 3), Difference(gain, clear, 3)])[0]
    half = two.simultaneous.upper - two.simultaneous.value
    assert half == pytest.approx(stats.t.ppf(1 - 0.05 / 4, 50) * 0.045, abs=1e-4)


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
    gain, unclear = rows
    assert (gain.task, gain.gain.verdict, gain.gain.seeds) == (IN_ALL, "gain", 3)
    assert (unclear.task, unclear.gain.verdict, unclear.gain.seeds) == (GREY, "cannot tell", 2)
    assert unclear.patients < gain.patients == data.part(Split.TEST, STENCE).patient_count
    assert Arm.PUBLISHED not in gain.aurocs

    numbers = list(csv.DictReader(StringIO(differences_csv(rows))))
    assert [row["verdict"] for row in numbers] == ["gain", "cannot tell"]
    assert [(row["family"], row["new"], row["old"], row["tests"]) for row in numbers] == [
        ("gain", "StenCE", "scratch", "1"),
        ("gain", "StenCE", "scratch", "0"),
    ]
    assert float(numbers[0]["difference"]) == gain.gain.estimate.value
    assert float(numbers[0]["lower"]) > 0
    assert float(numbers[0]["p_holm"]) == gain.gain.adjusted
    assert [numbers[1][key] for key in ("no_up_to", "yes_from", "p_holm")] == ["20.0", "90.0", ""]
    found = json.loads(json.dumps(to_json(rows)))
    assert found[0]["differences"][0]["p_holm"] == gain.gain.adjusted
    assert found[0]["auroc"]["StenCE"]["value"] == gain.aurocs[Arm.STENCE].value
    areas = list(csv.DictReader(StringIO(to_csv(rows))))
    assert [row["arm"] for row in areas] == ["scratch", "StenCE"] * 2
    assert float(areas[1]["auroc"]) == gain.aurocs[Arm.STENCE].value

    published = {"tiny": Published(RANDOM, lambda: None, "its configuration names no weights")}
    text = to_markdown(config, data, published, outcomes, rows)
    assert "| tiny | >= 70 % | 1 |" in text
    assert "| tiny | >= 90 % against <= 20 % | 1 |" in text
    assert "1 tests adjusted together: 1 gain, 1 cannot tell" in text
    assert "Family `gain`" in text
    assert "Family `start`" not in text
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
    assert {cell.arm for cell in imported} == {*BASELINES, Arm.STENCE}
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
    assert rows_of(config, data, outcomes)[0].gain.verdict == "cannot tell"
