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


def test_a_rule_that_finds_nothing_explains_nothing() -> None:
    looked_at = moved("measure|device", "amplitude_mv|Cardio 200", distance=0.05)
    found = raised([*looked_at, *moved("measure|device", "r_mv.V1|Cardio 200")])
    assert found == {("device_moved", "Cardio 200")}


def test_what_is_certain_but_small_and_what_is_large_but_uncertain_raise_nothing() -> None:
    small = moved("measure|device", "amplitude_mv|Cardio 200", distance=0.05)
    uncertain = moved("measure|device", "amplitude_mv|Cardio 200", p=0.01)
    assert raised(small) == raised(uncertain) == set()


AT = {"key": "target", "of": "stenosis_70", "model_version": "m"}


@pytest.mark.parametrize(
    ("rule", "name", "inside", "outside", "others"),
    [
        ("feed_stopped", "feed_ratio", 0.51, 0.49, [metric("feed_p", 1e-6)]),
        ("feed_stopped", "feed_p", 0.0011, 0.0009, [metric("feed_ratio", 0.1)]),
        ("inputs_moved", "input_ks", 0.19, 0.21, [metric("input_ks_p", 1e-6, "measure", "age")]),
        ("inputs_moved", "input_ks_p", 0.0011, 0.0009, [metric("input_ks", 0.5, "measure", "age")]),
        ("mix_moved", "input_psi", 0.029, 0.031, [metric("category_p", 1e-6, "measure", "sex")]),
        ("embeddings_moved", "embedding_mmd", 0.019, 0.021, [metric("embedding_mmd_p", 1e-6)]),
        ("scores_rose", "score_shift", 0.09, 0.11, [metric("score_mean_p", 1e-6)]),
        ("scores_fell", "score_shift", -0.09, -0.11, [metric("score_mean_p", 1e-6)]),
        ("scores_moved", "score_ks", 0.14, 0.16, [metric("score_ks_p", 1e-6, "target", "rca_70")]),
        ("scores_drift_up", "score_ewma", 0.04, 0.06, [metric("score_ewma_p", 1e-6)]),
        ("scores_drift_up", "score_ewma_p", 0.003, 0.001, [metric("score_ewma", 0.2)]),
        ("scores_drift_down", "score_ewma", -0.04, -0.06, [metric("score_ewma_p", 1e-6)]),
        ("scores_not_judged", "score_like_days", 2, 1, []),
        ("place_left_out", "score_left_out", 0.01, 0.03, []),
        ("reports_moved", "report_ks", 0.19, 0.21, [metric("report_ks_p", 1e-6, "measure", "narrowed")]),
        ("new_site", "new_category", 0.009, 0.011, []),
        ("no_run", "hours_since_run", 2.9, 3.1, []),
        ("backlog_old", "backlog_age_hours", 23, 25, []),
    ],
)
def test_just_inside_its_limit_a_figure_raises_nothing_and_just_outside_it_does(
    rule: str, name: str, inside: float, outside: float, others: list[Metric]
) -> None:
    place = {
        "input_ks": ("measure", "age"),
        "input_ks_p": ("measure", "age"),
        "input_psi": ("measure", "sex"),
        "report_ks": ("measure", "narrowed"),
        "score_ks": ("target", "rca_70"),
        "new_category": ("site", "annexe"),
        "score_left_out": ("site", "annexe"),
    }.get(name, (None, None))
    raised_by = [
        {which for which, _ in raised([metric(name, value, *place), *others])} for value in (inside, outside)
    ]
    assert raised_by == [set(), {rule}]


@pytest.mark.parametrize(
    ("rule", "name", "inside", "outside"),
    [
        ("model_disagrees", "model_agreement", (0.2, 0.51), (0.2, 0.49)),
        ("calibration_lost", "outcome_calibration_slope_weighted", (0.2, 0.61), (0.2, 0.59)),
        ("risks_wrong", "outcome_ece_weighted", (0.149, 0.9), (0.151, 0.9)),
        ("quarantine_full", "quarantine_rate", (0.09, 0.9), (0.11, 0.9)),
    ],
)
def test_what_has_an_interval_is_judged_by_the_end_that_is_certain(
    rule: str, name: str, inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    place = {} if name == "quarantine_rate" else AT
    raised_by = [
        {which for which, _ in raised([metric(name, sum(ends) / 2, lower=ends[0], upper=ends[1], **place)])}
        for ends in (inside, outside)
    ]
    assert raised_by == [set(), {rule}]


@pytest.mark.parametrize(("rate", "p", "told"), [(0.14, 1e-9, 0), (0.16, 1e-9, 1), (0.16, 2e-4, 0)])
def test_the_workload_may_be_half_as_much_again_as_was_promised(rate: float, p: float, told: int) -> None:
    measured = {"flag_rate": rate, "flags_promised": 0.1, "flag_rate_p": p}
    flags = [metric(name, value, **AT) for name, value in measured.items()]
    assert len(raised(flags, flags)) == told


@pytest.mark.parametrize(
    ("sign", "values", "worst"), [("> 0.1", (0.3, 0.7, 0.5), 0.7), ("< 0.9", (0.4, 0.2, 0.3), 0.2)]
)
def test_a_finding_of_several_figures_tells_the_worst(
    sign: str, values: tuple[float, ...], worst: float
) -> None:
    rules = Rules.model_validate({"my_rule": RULE | {"when": f"input_ks {sign}", "slice": "measure"}})
    figures = [metric("input_ks", value, "measure", f"m{n}") for n, value in enumerate(values)]
    (finding,) = find(rules, [figures])
    assert (finding.value, f": {worst:.3g} in m0, m1, m2" in finding.detail) == (worst, True)


def test_a_rule_looks_at_both_figures_of_one_place_and_only_at_the_places_that_it_names() -> None:
    rule = {"when": "input_ks > 0.2 and input_ks_p < 0.01", "slice": "measure|site", "only": {"site": "w*"}}
    rules = Rules.model_validate({"my_rule": RULE | rule})
    ward, clinic = (moved("measure|site", f"age|{site}") for site in ("ward", "clinic"))
    assert raised(ward, rules=rules) == {("my_rule", None)}
    assert raised(clinic, rules=rules) == set()
    assert raised([ward[0], clinic[1]], rules=rules) == set()


def test_outcomes_are_held_against_what_was_promised() -> None:
    place = {"key": "target", "of": "stenosis_70", "model_version": "m"}
    promised = metric("promised_auroc", 0.8, lower=0.76, upper=0.84, **place)
    lost = metric("outcome_auroc_weighted", 0.65, lower=0.58, upper=0.72, **place)
    kept = metric("outcome_auroc_weighted", 0.72, lower=0.62, upper=0.82, **place)
    assert raised([promised, lost]) == {("discrimination_lost", "stenosis_70")}
    assert raised([promised, kept]) == raised([lost]) == set()
    for upper, told in ((0.77, 0), (0.75, 1)):
        near = metric("outcome_auroc_weighted", 0.7, lower=0.6, upper=upper, **place)
        assert len(raised([promised, near])) == told


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
