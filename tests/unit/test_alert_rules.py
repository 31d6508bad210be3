"""Alert rules: what the shipped ones find of each fault, and how a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stence.errors import ConfigurationError
from stence.monitoring.metrics import Metric
from stence.monitoring.rules import Rules, find, load_rules
from stence.settings import Settings

SHIPPED = load_rules(Settings())
RULE = {"severity": "info", "means": "It moved.", "do": "Look at it."}


def metric(name: str, value: float, key: str | None = None, of: str | None = None, **more: object) -> Metric:
    return Metric(name, value, slice_key=key, slice_value=of, **more)


def moved(key: str, of: str, distance: float = 0.6, p: float = 1e-9) -> list[Metric]:
    return [metric("input_ks", distance, key, of, count=80), metric("input_ks_p", p, key, of, count=80)]


def raised(*days: list[Metric], rules: Rules = SHIPPED) -> set[tuple[str, str | None]]:
    return {(finding.cause.rule, finding.cause.slice_value) for finding in find(rules, days) if finding.holds}


GAIN = [
    *moved("measure|device", "amplitude_mv|Cardio 200"),
    *moved("measure|device", "r_mv.V1|Cardio 200"),
    *moved("measure|site", "amplitude_mv|main building"),
    *moved("measure", "amplitude_mv"),
    *moved("measure|device", "amplitude_mv|Cardio 1000", distance=0.05, p=0.8),
]
SWAP = [
    *moved("measure|site", "r_step.V1-V2|clinic"),
    *moved("measure|device", "r_step.V1-V2|Rest 12"),
    *moved("measure|device", "r_mv.V1|Rest 12"),
]
NEW = [
    metric("new_category", 0.1, "device", "Touch 12"),
    metric("new_category", 0.1, "sampling_rate", "1000"),
]
STOPPED = [
    metric("feed_ratio", 0.1, "site", "clinic"),
    metric("feed_p", 1e-8, "site", "clinic"),
    metric("feed_ratio", 0.1, "device", "Rest 12"),
    metric("feed_p", 1e-8, "device", "Rest 12"),
]
PREVALENCE = [
    metric("score_shift", 0.4, model_version="m"),
    metric("score_mean_p", 1e-6, model_version="m"),
    metric("score_ks", 0.2, "target", "stenosis_70", model_version="m"),
    metric("score_ks_p", 1e-6, "target", "stenosis_70", model_version="m"),
]
SHUFFLED = [metric("model_agreement", 0.1, "target", "stenosis_70", lower=0.0, upper=0.2, model_version="m")]
REPORTS = [
    metric("report_ks", 0.4, "measure", "max_degree"),
    metric("report_ks_p", 1e-5, "measure", "max_degree"),
]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (GAIN, {("device_gain", "Cardio 200")}),
        (SWAP, {("leads_swapped", "clinic")}),
        (NEW, {("new_device", "Touch 12")}),
        (STOPPED, {("site_feed_stopped", "clinic")}),
        (PREVALENCE, {("scores_rose", None)}),
        (SHUFFLED, {("model_disagrees", None)}),
        (REPORTS, {("reports_moved", None)}),
        ([metric("hours_since_run", 5)], {("no_run", None)}),
        ([metric("runs_failed", 1)], {("run_failed", None)}),
        ([metric("backlog_age_hours", 30)], {("backlog_old", None)}),
        ([metric("quarantine_rate", 0.3, lower=0.2, upper=0.4)], {("quarantine_full", None)}),
        ([metric("quarantine_rate", 0.3, lower=0.02, upper=0.9)], set()),
        ([metric("part_failed", 1, "part", "inputs")], {("part_failed", "inputs")}),
    ],
    ids=lambda value: str(sorted(rule for rule, _ in value)) if isinstance(value, set) else "",
)
def test_each_fault_raises_one_alert_that_names_its_place(
    figures: list[Metric], expected: set[tuple[str, str | None]]
) -> None:
    assert raised(figures) == expected


def test_what_is_certain_but_small_and_what_is_large_but_uncertain_raise_nothing() -> None:
    small = moved("measure|device", "amplitude_mv|Cardio 200", distance=0.05)
    uncertain = moved("measure|device", "amplitude_mv|Cardio 200", p=0.01)
    assert raised(small) == raised(uncertain) == set()


def test_outcomes_are_held_against_what_was_promised() -> None:
    place = {"key": "target", "of": "stenosis_70", "model_version": "m"}
    promised = metric("promised_auroc", 0.8, lower=0.76, upper=0.84, **place)
    lost = metric("outcome_auroc_weighted", 0.65, lower=0.58, upper=0.72, **place)
    kept = metric("outcome_auroc_weighted", 0.72, lower=0.62, upper=0.82, **place)
    assert raised([promised, lost]) == {("discrimination_lost", "stenosis_70")}
    assert raised([promised, kept]) == raised([lost]) == set()


def test_a_rule_for_days_waits_for_them() -> None:
    rate = {"key": "target", "of": "stenosis_70", "model_version": "m"}
    many = [
        metric("flag_rate", 0.2, **rate),
        metric("flags_promised", 0.1, **rate),
        metric("flag_rate_p", 1e-9, **rate),
    ]
    few = [metric("flag_rate", 0.1, **rate), *many[1:]]
    assert raised(many) == set()
    assert raised(many, few) == set()
    assert raised(many, many) == {("workload", None)}


def test_the_detail_says_what_where_and_what_to_do() -> None:
    (finding,) = (found for found in find(SHIPPED, [GAIN]) if found.holds)
    assert "Device: Cardio 200." in finding.detail
    assert "0.6" in finding.detail
    assert "80 observations" in finding.detail
    assert "calibration pulse" in finding.detail
    assert finding.severity == "critical"


def test_many_figures_of_one_cause_are_one_finding_that_counts_them() -> None:
    figures = [each for n in range(1, 7) for each in moved("measure|device", f"noise_uv.V{n}|Cardio 200")]
    (finding,) = (found for found in find(SHIPPED, [figures]) if found.holds)
    assert finding.cause.slice_value == "Cardio 200"
    assert "noise_uv.V1, noise_uv.V2, noise_uv.V3, noise_uv.V4 and 2 more" in finding.detail


def test_what_was_not_measured_is_no_finding() -> None:
    assert find(SHIPPED, [[]]) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "input_kss > 0.2"}, "there is no metric 'input_kss'"),
        ({"when": "input_ks is high"}, "'input_ks is high' is not of the form"),
        ({"when": "input_ks > 0.2", "slise": "measure"}, "slise: there is no such key"),
        ({"when": "input_ks > 0.2", "slice": "measure", "per": "device"}, "has no part device"),
        ({"when": "input_ks > 0.2", "severity": "bad"}, "severity"),
        ({"when": "input_ks > 0.2", "unless": ["nobody"]}, "there is no rule nobody"),
        ({"when": "input_ks > 0.2", "do": ""}, "do"),
    ],
)
def test_a_wrong_rule_is_named_with_what_is_wrong(tmp_path: Path, rule: dict, said: str) -> None:
    import yaml

    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"my_rule": RULE | rule}))
    with pytest.raises(ConfigurationError, match="my_rule") as error:
        load_rules(Settings(alert_rules=path))
    assert said in str(error.value)


def test_rules_of_ones_own_replace_those_of_stence(tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"my_rule": RULE | {"when": "ecgs_arrived < 10"}}))
    own = load_rules(Settings(alert_rules=path))
    assert raised([metric("ecgs_arrived", 3)], rules=own) == {("my_rule", None)}
    assert raised(GAIN, rules=own) == set()
