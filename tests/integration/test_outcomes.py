"""Which ECGs are followed, and what the cath reports in the database say came of them."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, insert, select

from stence.database import queries
from stence.database.tables import (
    cath_studies,
    ecgs,
    flags,
    model_events,
    models,
    objects,
    runs,
    scores,
    segment_stenoses,
    verification_draws,
    verification_sample,
)
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation import referral_weights as weighting
from stence.evaluation.follow_up import FollowUp, read_follow_up
from stence.evaluation.watched import Watched
from stence.monitoring import estimation, outcomes
from stence.monitoring.verification import propose
from stence.settings import Settings
from support.database import tampering

MODEL = Watched(
    "m1", "champion", "p1", {"thresholds": {name: {"value": 0.5, "rule": "half"} for name in TARGET_NAMES}}
)
DAY = Window(datetime(2026, 6, 30, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
RUN = "00000000-0000-0000-0000-000000000001"
START = DAY.end - timedelta(days=180)


class Hospital:
    """Rows as scoring and the intake of reports leave them; times are those that are given."""

    def __init__(self, engine: Engine, reported_until: float = 180) -> None:
        self.engine, self._numbers = engine, itertools.count(1)
        model = {
            "version": "m1",
            "state": "champion",
            "folder": "f",
            "sha256": "0",
            "preprocessing_version": "p1",
        }
        event = {"version": "m1", "to_state": "champion", "changed_by": "x", "reason": "y"}
        run = {"id": RUN, "model_version": "m1", "preprocessing_version": "p1", "state": "finished"}
        with tampering(engine) as connection:
            connection.execute(insert(models).values(model | {"manifest": MODEL.manifest}))
            connection.execute(insert(model_events).values(event))
            about = {"code_version": "0", "device": "cpu", "host": "here"}
            connection.execute(insert(runs).values(run | about))
        self.study("somebody without an ECG", reported_until, 0)

    def ecg(
        self,
        patient: str,
        day: float,
        probability: float = 0.3,
        scored_after: float = 0.01,
        flagged_after: float = 0.01,
        **about: Any,
    ) -> None:
        """An ECG on a day of the window, read at once and scored so many days later; flagged from 0.5 on."""
        at, key = START + timedelta(days=day), f"ecg/{next(self._numbers)}.hea"
        content = hashlib.sha256(key.encode()).digest()
        file = {"key": key, "record_key": key, "etag": "e", "size_bytes": 1}
        row: dict[str, Any] = {
            "content_hash": content,
            "patient_id": patient,
            "acquired_at": at,
            "first_read_at": at,
        }
        fixed = {"sampling_rate": 500, "seconds": 10, "sex": "F", "age": 60.0}
        said = dict.fromkeys(TARGET_NAMES, probability)
        scored = {
            "content_hash": content,
            "model_version": "m1",
            "preprocessing_version": "p1",
            "run_id": RUN,
        }
        with tampering(self.engine) as connection:
            number = connection.scalar(insert(objects).values(file).returning(objects.c.id))
            row["object_id"] = number
            connection.execute(insert(ecgs).values(row | fixed | about))
            moment = at + timedelta(days=scored_after)
            connection.execute(insert(scores).values(scored | said | {"scored_at": moment}))
            if probability >= 0.5:
                flag = {"content_hash": content, "model_version": "m1", "target": "stenosis_70"}
                more = {"patient_id": patient, "probability": probability, "threshold": 0.5, "rule": "half"}
                connection.execute(
                    insert(flags).values(
                        flag | more | {"state": "open", "raised_at": at + timedelta(days=flagged_after)}
                    )
                )

    def study(self, patient: str, day: float, degree: float, known_after: float = 1) -> None:
        """A study whose worst narrowing is in segment 6, and that is known so many days later."""
        at = START + timedelta(days=day)
        study = {"study_id": f"s{next(self._numbers)}", "patient_id": patient, "performed_at": at}
        about = {"split": "train", "max_degree": degree, "report_key": "r", "fingerprint": "f"}
        known = {"first_seen_at": at + timedelta(days=known_after)}
        with tampering(self.engine) as connection:
            connection.execute(insert(cath_studies).values(study | about | known))
            if degree:
                narrowed = {"study_id": study["study_id"], "segment": 6, "degree": degree}
                connection.execute(insert(segment_stenoses).values(narrowed))

    def follow_up(self) -> FollowUp:
        window = outcomes.window_of(DAY, Settings(outcome_days=90))
        with self.engine.connect() as connection:
            return read_follow_up(connection, window, 90, MODEL)


@pytest.fixture
def hospital(engine: Engine) -> Hospital:
    return Hospital(engine)


def test_the_window_is_of_ecgs_that_were_followed_for_the_days_of_the_settings() -> None:
    window = outcomes.window_of(DAY, Settings(outcome_days=90))
    assert window == Window(DAY.end - timedelta(days=180), DAY.end - timedelta(days=90))


def test_a_report_answers_for_the_ecgs_before_it(hospital: Hospital) -> None:
    hospital.ecg("ill", 10, 0.6, indication="Chest pain ", site="north")
    hospital.study("ill", 12, 75)
    hospital.ecg("well", 10)
    hospital.study("well", 12, 0)
    hospital.ecg("unsent", 10, sex=None, age=None)
    found = hospital.follow_up()
    assert found.referred.tolist() == [True, False, True]  # by patient: ill, unsent, well
    assert found.labels[0].tolist() == [1, 1, 0, 0, 0, 1]
    assert np.isnan(found.labels[1]).all()
    assert found.labels[2].tolist() == [0] * 6
    assert found.flagged.tolist() == [True, False, False]
    assert found.indication[0] == "chest pain"
    assert np.isnan(found.age[1])
    assert found.sex[1] == ""


def test_what_the_model_may_have_learned_from_is_left_out(hospital: Hospital) -> None:
    hospital.ecg("known at scoring", 10, scored_after=5)
    hospital.study("known at scoring", 12, 75)
    hospital.study("examined before", 5, 75)
    hospital.ecg("examined before", 10)
    hospital.study("examined before", 14, 90)
    hospital.ecg("reported late", 10, scored_after=5)
    hospital.study("reported late", 12, 75, known_after=10)
    assert hospital.follow_up().referred.tolist() == [True]


def test_ecgs_scored_long_after_they_came_are_left_out(hospital: Hospital) -> None:
    """Of those whose report had come meanwhile nothing is left, so the rest would be healthier than all."""
    hospital.ecg("late", 10, scored_after=30)
    hospital.ecg("in time", 10, scored_after=3)
    assert len(hospital.follow_up().patients) == 1


def test_a_flag_that_is_raised_long_after_sent_nobody(hospital: Hospital) -> None:
    hospital.ecg("flagged at once", 10, 0.6)
    hospital.ecg("flagged when the shadow was promoted", 10, 0.6, flagged_after=20)
    assert hospital.follow_up().flagged.tolist() == [True, False]


@pytest.mark.parametrize(("days", "counts"), [(6.9, True), (7.1, False)])
def test_a_week_is_in_time(hospital: Hospital, days: float, counts: bool) -> None:
    """Both for the score and for the flag."""
    hospital.ecg("flagged", 10, 0.6, flagged_after=days)
    hospital.ecg("scored", 10, scored_after=days)
    found = hospital.follow_up()
    assert found.flagged.any() == counts
    assert len(found.patients) == 1 + counts


def test_the_days_run_from_the_last_ecg_of_an_episode(hospital: Hospital) -> None:
    hospital.ecg("comes again", 1)
    hospital.ecg("comes again", 60)
    hospital.study("comes again", 120, 75)
    found = hospital.follow_up()
    assert found.referred.tolist() == [True, True]
    assert found.labels[:, 0].tolist() == [1, 1], "the study is in time for both, its outcome is not censored"


def test_an_episode_ends_with_its_study(hospital: Hospital) -> None:
    for day in (10, 20, 40):
        hospital.ecg("several", day)
    hospital.study("several", 30, 75)
    found = hospital.follow_up()
    assert len(found.patients) == 2
    assert found.referred.tolist() == [True, True]
    assert found.people().ecgs.tolist() == [2]
    assert found.shares.tolist() == [0.5, 0.5]


def test_a_study_after_the_days_is_censored_and_not_unsent(hospital: Hospital) -> None:
    hospital.ecg("a much later", 10)
    hospital.study("a much later", 101, 75)
    hospital.ecg("b never", 10)
    hospital.ecg("c on the last day", 10)
    hospital.study("c on the last day", 99.9, 75)
    found = hospital.follow_up()
    assert found.referred.tolist() == [True, False, True]
    assert found.censored.tolist() == [True, False, False]
    assert np.isnan(found.labels[0]).all()
    assert not np.isnan(found.labels[2]).any()


def test_nobody_is_unsent_whose_days_the_reports_do_not_cover(engine: Engine) -> None:
    """The newest report is of day 130: of who came on day 50, nobody knows."""
    hospital = Hospital(engine, reported_until=130)
    for day in (39.9, 40.1, 50):
        hospital.ecg(f"day {day}", day)
    hospital.study("day 50", 60, 75)
    assert len(hospital.follow_up().patients) == 1


def test_figures_and_weights_come_from_the_same_rows(hospital: Hospital, settings: Settings) -> None:
    rng = np.random.default_rng(0)
    for number in range(260):
        risk = float(rng.beta(2, 4))
        patient = f"p{number}"
        hospital.ecg(
            patient, float(rng.uniform(1, 80)), round(risk, 3), indication=rng.choice(["pain", "check-up"])
        )
        if rng.random() < 0.35 + 0.45 * (risk >= 0.5):
            hospital.study(patient, 85, 80.0 * (rng.random() < risk))
    short = settings.model_copy(update={"monitor_bootstraps": 100})
    window = outcomes.window_of(DAY, short)
    found = {(m.slice_value, m.name): m for m in outcomes.measure(hospital.engine, short, window, MODEL)}
    assert {m.model_version for m in found.values()} == {"m1"}
    referred = found["stenosis_70", "outcome_count"]
    assert (referred.value, referred.count) == (hospital.follow_up().referred.sum(), 260)
    flagged = found["stenosis_70", "outcome_sensitivity"]
    weighted = found["stenosis_70", "outcome_sensitivity_weighted"]
    assert weighted.value < flagged.value  # who is flagged is sent more often than who is not
    expected = list(estimation.measure(hospital.engine, short, window, MODEL))
    assert {"expected_auroc", "expected_ppv"} <= {metric.name for metric in expected}
    learned = weighting.referral(hospital.engine, short)
    assert len(learned.sample_weight) == referred.value
    assert learned.summary["models"]["m1"]["people"] == 260
    assert np.mean(list(learned.sample_weight.values())) == pytest.approx(1)


def drawn(engine: Engine) -> list[str]:
    """The patients of the verification sample, in order."""
    with engine.connect() as connection:
        _, rows = queries.run(connection, "verification_sample", {"state": "", "limit": "1000"})
    return sorted(row[0] for row in rows)


def today(hospital: Hospital, patient: str, probability: float = 0.3) -> None:
    """An ECG of two hours ago."""
    hospital.ecg(patient, (datetime.now(UTC) - START) / timedelta(days=1) - 1 / 12, probability, 0, 0)


def test_a_share_of_those_without_a_flag_is_drawn_and_the_same_again(hospital: Hospital) -> None:
    for number in range(120):
        today(hospital, f"p{number}", 0.6 if number < 20 else 0.3)
    assert propose(hospital.engine, Settings()) == 0
    assert drawn(hospital.engine) == []
    some = Settings(verification_per_1000=300)
    assert propose(hospital.engine, some) == len(drawn(hospital.engine))
    first = drawn(hospital.engine)
    assert 12 < len(first) < 50
    assert not {f"p{number}" for number in range(20)} & set(first)
    assert propose(hospital.engine, some) == 0
    with tampering(hospital.engine) as connection:
        connection.execute(delete(verification_sample))
        connection.execute(delete(verification_draws))
    propose(hospital.engine, some)
    assert drawn(hospital.engine) == first


def test_who_is_drawn_enters_with_the_probability_of_the_draw(hospital: Hospital) -> None:
    for patient, probability in (("a drawn", 0.3), ("b not drawn", 0.3), ("c flagged", 0.6)):
        hospital.ecg(patient, 10, probability)
    hospital.ecg("a drawn", 11)
    with tampering(hospital.engine) as connection:
        about = {"model_version": "m1", "share": 0.05, "eligible": 2, "drawn": 1}
        times = {"scored_from": START, "scored_until": START + timedelta(days=20)}
        draw = insert(verification_draws).values(about | times).returning(verification_draws.c.id)
        number = connection.scalar(draw)
        first = select(ecgs.c.content_hash).where(ecgs.c.patient_id == "a drawn").order_by(ecgs.c.acquired_at)
        row = {"content_hash": connection.scalar(first.limit(1)), "draw_id": number, "chance": 0.05}
        month = f"{START + timedelta(days=10):%Y-%m}"
        connection.execute(insert(verification_sample).values(row | {"month": month}))
    found = hospital.follow_up().people()
    assert found.drawn.tolist() == [True, False, False]
    assert found.chance.tolist() == pytest.approx([0.05, 0.05, 0])
