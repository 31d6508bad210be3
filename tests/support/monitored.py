"""Figures, alerts and reviews of a watched hospital, on top of ``support.synthetic``, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

import numpy as np
from sqlalchemy import Engine, text

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.ecg import LEADS
from stence.monitoring.metrics import Metric, write
from support.synthetic import load
from support.tampering import tampering

MODEL = "synthetic-2"
DEVICES = ("Aurum Medical Cardio 1000", "Aurum Medical Cardio 200", "Norden Rest 12")
SITES = ("clinic", "main building")
GROUPS = {
    "sex": ("F", "M"),
    "age_band": ("18-49", "50-64", "65-79", "80+"),
    "device": DEVICES,
    "site": SITES,
}
MEASURES = (
    "heart_rate",
    *(f"{kind}.{lead}" for kind in ("r_mv", "s_mv", "noise_uv") for lead in LEADS),
)
ALERTS = """
INSERT INTO alerts (rule, severity, metric, model_version, slice_key, slice_value, state, value, detail,
                    opened_at, last_seen_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by)
VALUES ('input-moved', 'critical', 'input_ks', NULL, 'measure|device', 'r_mv.V1|Norden Rest 12', 'open', 0.52,
        'R in V1 of Norden Rest 12 is far from the reference (KS 0.52, 212 ECGs). Look at gain and leads of '
        'that machine; its scores are not to be trusted until then.',
        :until - interval '1 day', :until, NULL, NULL, NULL, NULL),
       ('workload', 'warning', 'flag_rate', 'synthetic-2', 'target', 'stenosis_70', 'acknowledged', 0.071,
        'More ECGs are flagged than promised (at most 5 %). Look for drift before changing a threshold.',
        :until - interval '9 days', :until, :until - interval '8 days', 'cardiology on call', NULL, NULL),
       ('feed-stopped', 'critical', 'feed_p', NULL, 'site', 'clinic', 'resolved', 0.0,
        'No ECG came from clinic.', :until - interval '20 days', :until - interval '19 days', NULL, NULL,
        :until - interval '18 hours', 'monitor')
"""
RUNS = """
INSERT INTO monitor_runs (id, started_at, finished_at, state, days, metrics, alerts_opened)
SELECT gen_random_uuid(), :until - n * interval '1 day' + interval '6 hours',
       :until - n * interval '1 day' + interval '6 hours 3 minutes', 'finished', 3, 2400, 0
FROM generate_series(0, 9) AS n
"""


def load_monitored(engine: Engine, until: date, *, days: int = 60, ecgs: int = 2000) -> None:
    """Fill an empty, migrated database: scored ECGs up to ``until``, and ``days`` days of figures."""
    load(engine, ecgs=ecgs, patients=max(ecgs // 5, 1))
    rng = np.random.default_rng(5)
    with tampering(engine) as connection:
        connection.execute(
            text(
                "UPDATE ecgs "
                "SET acquired_at = :until - object_id % :days * interval '1 day' - interval '1 hour'"
            ),
            {"until": until, "days": days},
        )
        connection.execute(
            text("UPDATE quarantine SET entered_at = :until - object_id / 100 % :days * interval '1 day'"),
            {"until": until, "days": days},
        )
        for back in reversed(range(days)):
            day = until - timedelta(days=back)
            write(connection, Window.of_day(day, "UTC"), _day(rng, back, day))
        last = Window.of_day(until, "UTC")
        follow_up = Window(last.start - timedelta(days=180), last.end - timedelta(days=90))
        write(connection, follow_up, _outcomes(rng))
        for script in (ALERTS, RUNS):
            connection.execute(text(script), {"until": until})
        connection.execute(text("ANALYZE"))


def _day(rng: np.random.Generator, back: int, day: date) -> Iterator[Metric]:
    """A day's figures; one device is out of order on the last two days."""
    yield from _operations(rng, back, day)
    yield from _inputs(rng, back)
    of_model = partial(Metric, model_version=MODEL)
    for key, member in _places():
        moved = 0.08 if back < 2 and member in (None, "Norden Rest 12") else 0.0
        value = abs(rng.normal(0.004, 0.002)) + moved
        yield of_model("embedding_mmd", value, 300, slice_key=key, slice_value=member)
        yield of_model(
            "embedding_mmd_p", 0.0004 if moved else rng.random(), 300, slice_key=key, slice_value=member
        )
    for target in TARGET_NAMES:
        at = partial(of_model, count=340, slice_key="target", slice_value=target)
        mean, rate = rng.normal(0.2, 0.006), rng.normal(0.05, 0.008) + (0.02 if back < 9 else 0)
        yield at("score_mean", mean, lower=mean - 0.02, upper=mean + 0.02)
        for name in ("score_ks", "score_psi", "score_psi_consecutive"):
            yield at(name, abs(rng.normal(0.04, 0.01)))
        for name in ("score_ks_p", "score_mean_p"):
            yield at(name, rng.random())
        yield at("score_shift", rng.normal(0, 0.05))
        yield at("score_ewma", 0.02 - 0.0005 * back)
        yield at("score_ewma_p", 0.4)
        yield at("model_agreement", 0.83, lower=0.8, upper=0.86)
        yield at("flag_rate", rate, lower=rate - 0.02, upper=rate + 0.025)
        yield at("flags_promised", 0.05)
        yield at("flag_rate_p", rng.random())
        for name, middle in (("auroc", 0.79), ("auprc", 0.42), ("ppv", 0.4), ("sensitivity", 0.3)):
            value = rng.normal(middle, 0.01)
            yield at(f"expected_{name}", value, lower=value - 0.06, upper=value + 0.06)


def _operations(rng: np.random.Generator, back: int, day: date) -> Iterator[Metric]:
    arrived = int(rng.poisson(380 if day.weekday() < 5 else 160))
    ratio = arrived / (380 if day.weekday() < 5 else 160)
    for name, value in (("ecgs_arrived", arrived), ("feed_ratio", ratio), ("feed_p", rng.random())):
        yield Metric(name, value, arrived)
        for key, members in (("device", DEVICES), ("site", SITES)):
            for place, member in enumerate(members):
                share = value / (place + 2) if name == "ecgs_arrived" else value
                yield Metric(name, share, arrived, slice_key=key, slice_value=member)
    rate = abs(rng.normal(0.012, 0.004))
    yield Metric("quarantine_rate", rate, arrived, max(rate - 0.01, 0), rate + 0.012)
    for name, value in (
        ("ecgs_scored", arrived - 2),
        ("backlog", rng.poisson(2)),
        ("backlog_age_hours", rng.random()),
        ("latency_hours_median", rng.normal(0.7, 0.03)),
        ("latency_hours_p95", rng.normal(1.6, 0.15)),
        ("ecgs_per_second", rng.normal(95, 6)),
        ("hours_since_run", 0.4),
        ("runs_failed", int(back == 12)),
    ):
        yield Metric(name, value, arrived, model_version=MODEL)


def _inputs(rng: np.random.Generator, back: int) -> Iterator[Metric]:
    for key, member in _places():
        for measure in MEASURES:
            moved = 0.4 if back < 2 and measure == "r_mv.V1" and member in (None, "Norden Rest 12") else 0.0
            place = {
                "slice_key": "measure" if key is None else f"measure|{key}",
                "slice_value": measure if key is None else f"{measure}|{member}",
            }
            yield Metric("input_ks", abs(rng.normal(0.06, 0.015)) + moved, 212, **place)
            yield Metric("input_ks_p", 1e-9 if moved else rng.uniform(0.05, 1), 212, **place)
            if key is None:
                yield Metric("input_psi", abs(rng.normal(0.02, 0.01)) + moved, 340, **place)
                yield Metric("input_psi_consecutive", abs(rng.normal(0.02, 0.01)), 340, **place)
    if back == 3:
        yield Metric("new_category", 0.03, 11, 0.015, 0.053, slice_key="sampling_rate", slice_value="1000")


def _outcomes(rng: np.random.Generator) -> Iterator[Metric]:
    groups = [(None, None)] + [(key, member) for key, members in GROUPS.items() for member in members]
    for target in TARGET_NAMES:
        for key, member in groups:
            at = partial(
                Metric,
                slice_key="target" if key is None else f"target|{key}",
                slice_value=target if key is None else f"{target}|{member}",
                model_version=MODEL,
            )
            many = key is None
            yield at("outcome_count", 812 if many else 290, 30_400 if many else 9_100)
            yield at("outcome_censored", 14 if many else 4)
            yield at("outcome_clipped_share", 0.004)
            yield at("outcome_smallest_propensity", 0.018)
            for suffix, times in (("", 2.6), ("_weighted", 1.0), ("_overlap", 1.7)):
                yield at(f"outcome_effective_size{suffix}", times * (301.4 if many else 96.2), 812)
                yield at(f"outcome_top_weight{suffix}", 0.06 / times, 812)
            if target == "stenosis_100":
                yield at("outcome_withheld_overlap", 3)
            half = 0.03 if many else 0.07
            for name, naive, weighted in (
                ("auroc", 0.71, 0.78),
                ("auprc", 0.51, 0.33),
                ("ppv", 0.58, 0.41),
                ("sensitivity", 0.44, 0.3),
                ("ece", 0.09, 0.03),
                ("calibration_slope", 0.8, 0.97),
                ("calibration_intercept", 0.4, 0.02),
            ):
                middles = {"": naive, "_weighted": weighted, "_overlap": (naive + weighted) / 2}
                for suffix, middle in middles.items():
                    if suffix == "_overlap" and target == "stenosis_100":
                        continue
                    value = abs(rng.normal(middle, half / 3))
                    low = max(value - half, 0)
                    yield at(f"outcome_{name}{suffix}", value, 812, low, value + half * 1.1)
        for tenth in range(1, 11):
            at = partial(
                Metric, count=81, slice_key="target|bin", slice_value=f"{target}|{tenth}", model_version=MODEL
            )
            predicted = (tenth / 11) ** 2
            for suffix, times in (("", 1.25), ("_weighted", 1.02)):
                observed = min(predicted * times, 0.95)
                yield at(f"outcome_calibration_predicted{suffix}", predicted)
                yield at(
                    f"outcome_calibration_observed{suffix}",
                    observed,
                    lower=max(observed - 0.08, 0),
                    upper=min(observed + 0.09, 1),
                )


def _places() -> Iterator[tuple[str | None, str | None]]:
    yield None, None
    yield from (("device", device) for device in DEVICES)
    yield from (("site", site) for site in SITES)
