"""Drift on a drawn hospital: planted faults are found within their day, sound days raise nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from stence import database
from stence.database.tables import ecgs, reference_profiles
from stence.database.tables import scores as stored_scores
from stence.domain.windows import Window
from stence.monitoring import embeddings, inputs, labels, operations, scores, workload
from stence.monitoring.metrics import Metric
from stence.monitoring.reference import reference
from stence.settings import Settings
from support.database import copied, filled, tampering
from support.routine import Change, Ecg, Routine, day, sound

MODULES = (operations, workload, inputs, embeddings, scores, labels)
REFERENCE_DAYS = 28
BOUNDS = {
    "input_ks_p": ("input_ks", 0.2),
    "embedding_mmd_p": ("embedding_mmd", 0.02),
    "score_mean_p": ("score_shift", 0.1),
    "score_ks_p": ("score_ks", 0.15),
    "report_ks_p": ("report_ks", 0.2),
    "category_p": ("input_psi", 0.03),
}
"""An alarm is an adjusted p below 0.001 and an effect of at least so much in the same slice."""

Alarm = tuple[str, str | None, str | None]


def hospital_of(engine: Engine, days: int, **drawn: int) -> Routine:
    """A hospital of its own, of so many days."""
    routine = Routine(engine, **drawn)
    routine.crown("model-1")
    routine.write(0, days)
    return routine


@pytest.fixture(scope="module")
def weeks(postgres: Engine) -> Iterator[str]:
    """The name of a database with four weeks of sound days, scored by the champion ``model-1``."""
    with filled(postgres, lambda engine: hospital_of(engine, REFERENCE_DAYS)) as name:
        yield name


@pytest.fixture
def hospital(postgres: Engine, weeks: str) -> Iterator[Routine]:
    """Those weeks, for the test alone."""
    with copied(postgres, weeks) as url, database.connect(Settings(database_url=url)) as engine:
        yield Routine(engine)


def measured(hospital: Routine, settings: Settings, window: Window) -> list[Metric]:
    """All figures of a window."""
    return [
        metric
        for module in MODULES
        for metric in module.measure(hospital.engine, settings, window, hospital.watched())
    ]


def alarms(metrics: list[Metric]) -> Iterator[Alarm]:
    """What would be told a person."""
    values = {(m.name, m.slice_key, m.slice_value): m.value for m in metrics}
    for (name, *where), value in values.items():
        if name in BOUNDS and value < 1e-3:
            effect, least = BOUNDS[name]
            if abs(values[(effect, *where)]) >= least:
                yield (name, *where)
        if name == "feed_p" and value < 1e-3 and values[("feed_ratio", *where)] < 0.5:
            yield (name, *where)
        if name == "new_category" and value >= 0.01:
            yield (name, *where)


def found_on(
    hospital: Routine, settings: Settings, number: int, change: Change, ill: float | None = None
) -> list[Alarm]:
    """The alarms of a day with something wrong."""
    hospital.write(number, change=change, ill=ill)
    return list(alarms(measured(hospital, settings, day(number))))


@pytest.mark.slow
def test_twenty_sound_days_raise_nothing(hospital: Routine, settings: Settings) -> None:
    """Weekends, on which the clinic is almost closed, among them."""
    for number in range(REFERENCE_DAYS, REFERENCE_DAYS + 20):
        assert found_on(hospital, settings, number, sound) == []


def gain_doubled(rng: np.random.Generator, ecg: Ecg) -> Ecg:
    """One machine records at twice its gain."""
    if ecg.device != "Cardio 200":
        return ecg
    return replace(ecg, r_mv=2 * ecg.r_mv, s_mv=2 * ecg.s_mv, noise_uv=2 * ecg.noise_uv)


def swapped(rng: np.random.Generator, ecg: Ecg) -> Ecg:
    """The clinic takes V1 for V2."""
    order = [*range(6), 7, 6, *range(8, 12)]
    return replace(ecg, r_mv=ecg.r_mv[order], s_mv=ecg.s_mv[order]) if ecg.site == "clinic" else ecg


def new_device(rng: np.random.Generator, ecg: Ecg) -> Ecg:
    """A machine that nobody announced."""
    return replace(ecg, device="Touch 12", sampling_rate=1000.0) if rng.random() < 0.1 else ecg


def clinic_stopped(rng: np.random.Generator, ecg: Ecg) -> Ecg | None:
    """Nothing comes from the clinic after ten."""
    return None if ecg.site == "clinic" and ecg.taken_at.hour >= 10 else ecg


def area_reported(rng: np.random.Generator, ecg: Ecg) -> Ecg:
    """Reports give the narrowing of the area in place of the diameter."""
    return replace(ecg, degree=100 * (1 - (1 - ecg.degree / 100) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (gain_doubled, ("input_ks_p", "measure|device", "amplitude_mv|Cardio 200")),
        (swapped, ("input_ks_p", "measure|site", "r_step.V1-V2|clinic")),
        (new_device, ("new_category", "device", "Touch 12")),
        (new_device, ("new_category", "sampling_rate", "1000")),
        (clinic_stopped, ("feed_p", "site", "clinic")),
        (area_reported, ("report_ks_p", "measure", "max_degree")),
    ],
)
def test_a_fault_is_found_on_its_day(
    hospital: Routine, settings: Settings, change: Change, expected: Alarm
) -> None:
    """And under the name of the machine, site or category that it concerns."""
    assert expected in found_on(hospital, settings, REFERENCE_DAYS, change)


@pytest.mark.slow
def test_nothing_else_is_blamed(hospital: Routine, settings: Settings) -> None:
    """A machine's gain is no drift of the clinic that lacks that machine, nor of scores and reports."""
    found = found_on(hospital, settings, REFERENCE_DAYS, gain_doubled)
    assert {name for name, *_ in found} == {"input_ks_p"}
    assert not [where for _, key, where in found if key == "measure|site" and "clinic" in str(where)]


@pytest.mark.slow
def test_doubled_prevalence_is_found_on_its_day(hospital: Routine, settings: Settings) -> None:
    """Scores move together, and so do the reasons for which people come; with enough ECGs a day."""
    hospital.ecgs_per_day = 1600
    found = found_on(hospital, settings, REFERENCE_DAYS, sound, ill=2 * hospital.ill)
    assert ("score_mean_p", None, None) in found
    assert ("category_p", "measure", "indication") in found


@pytest.mark.slow
def test_a_stopped_feed_of_the_whole_hospital_is_found(hospital: Routine, settings: Settings) -> None:
    """A day without a single ECG has figures, too."""
    found = list(alarms(measured(hospital, settings, day(REFERENCE_DAYS))))
    assert ("feed_p", None, None) in found
    assert ("feed_p", "site", "clinic") in found


def shuffled(scores: np.ndarray) -> np.ndarray:
    """What a model with shuffled weights says: as high on average, and of nobody in particular."""
    return np.random.default_rng(3).permutation(scores) ** 0.5


def of(metrics: list[Metric], name: str) -> dict[str | None, Metric]:
    """Figures of one name by slice."""
    return {metric.slice_value: metric for metric in metrics if metric.name == name}


@pytest.mark.slow
def test_a_model_that_scored_the_days_before_has_a_reference_of_its_own(
    hospital: Routine, settings: Settings
) -> None:
    """Its scores may be others than its predecessor's; that they order patients otherwise is told."""
    hospital.crown("model-2")
    hospital.write(REFERENCE_DAYS)
    hospital.rescore("model-1", 0, REFERENCE_DAYS, shuffled)
    found = measured(hospital, settings, day(REFERENCE_DAYS))
    agreement = of(found, "model_agreement")["stenosis_70"]
    assert agreement.upper is not None
    assert agreement.upper < 0.1


@pytest.mark.slow
def test_a_model_without_scores_of_its_own_is_compared_with_its_predecessor(
    hospital: Routine, settings: Settings
) -> None:
    """It takes over the profile, and keeps it; not the embeddings, which are of another encoder."""
    measured(hospital, settings, day(REFERENCE_DAYS))  # the first champion's profile is made
    hospital.crown("model-2")
    hospital.write(REFERENCE_DAYS, change=lambda rng, ecg: replace(ecg, scores=ecg.scores**0.5))
    found = measured(hospital, settings, day(REFERENCE_DAYS))
    assert ("score_mean_p", None, None) in alarms(found)
    assert of(found, "embedding_mmd") == {}
    hospital.write(REFERENCE_DAYS + 1, 20)
    found = measured(hospital, settings, day(REFERENCE_DAYS + 14))
    assert ("score_mean_p", None, None) not in alarms(found)
    assert of(found, "embedding_mmd") == {}


@pytest.mark.slow
def test_a_reference_is_made_once(hospital: Routine, settings: Settings) -> None:
    """Later days do not change it, and its own days are not compared with it."""
    watched = hospital.watched()
    profiles = select(reference_profiles.c.made_at, reference_profiles.c.profile)
    assert reference(hospital.engine, settings, day(REFERENCE_DAYS), watched) is not None
    with hospital.engine.connect() as connection:
        before = connection.execute(profiles).all()
    hospital.write(REFERENCE_DAYS, 2)
    assert reference(hospital.engine, settings, day(REFERENCE_DAYS + 2), watched) is not None
    assert reference(hospital.engine, settings, day(REFERENCE_DAYS - 1), watched) is None
    with hospital.engine.connect() as connection:
        assert connection.execute(profiles).all() == before


@pytest.mark.slow
def test_means_of_days_are_by_day_and_place_and_the_sample_knows_its_weekends(
    hospital: Routine, settings: Settings
) -> None:
    profile = reference(hospital.engine, settings, day(REFERENCE_DAYS), hospital.watched())
    assert profile is not None
    assert profile.score_days is not None
    found = (
        select(func.count(), func.avg(stored_scores.c.stenosis_70), func.avg(stored_scores.c.lca_70))
        .join(ecgs, ecgs.c.content_hash == stored_scores.c.content_hash)
        .where(ecgs.c.site == "clinic", ecgs.c.acquired_at.between(day(5).start, day(5).end))
    )
    with hospital.engine.connect() as connection:
        count, second, last = connection.execute(found).one()
    saturday, monday = day(5).start.date(), day(7).start.date()
    means = profile.score_days.of(saturday)
    row = means.places.tolist().index("clinic")
    assert means.ecgs[row] == count
    assert means.means[row, [1, 5]] == pytest.approx([second, last], abs=1e-5)
    at_weekends, else_ = (len(profile.sample.like(each)) for each in (saturday, monday))
    assert at_weekends + else_ == len(profile.sample)
    assert at_weekends < else_ / 3


@pytest.mark.slow
def test_a_profile_of_an_earlier_version_is_completed(hospital: Routine, settings: Settings) -> None:
    """It lacks the means of its days; they are added from the scores of those days, the rest stays."""
    today, watched = day(REFERENCE_DAYS), hospital.watched()
    made = reference(hospital.engine, settings, today, watched)
    assert made is not None
    older = text("UPDATE reference_profiles SET profile = profile - 'score_days' - 'weekend'")
    with hospital.engine.begin() as connection:
        connection.execute(older)
    again = reference(hospital.engine, settings, today, watched)
    assert again is not None
    assert again.score_days is not None
    with hospital.engine.connect() as connection:
        (stored,) = connection.scalars(select(reference_profiles.c.profile)).all()
    assert stored == {name: value for name, value in made.json().items() if name != "weekend"}


@pytest.mark.slow
def test_too_few_days_make_no_reference(engine: Engine, settings: Settings) -> None:
    """Nothing is compared in the first days, and what arrives is counted all the same."""
    found = measured(hospital_of(engine, 3), settings, day(2))
    assert of(found, "ecgs_arrived")[None].value > 400
    assert of(found, "score_mean")
    assert not [m for m in found if m.name.endswith("_p") and m.name != "flag_rate_p"]


@pytest.mark.parametrize(("days", "enough"), [(14, True), (13, False)])
def test_half_of_the_days_make_a_reference(
    engine: Engine, settings: Settings, days: int, enough: bool
) -> None:
    watched = hospital_of(engine, days, ecgs_per_day=40).watched()
    asked = settings.model_copy(update={"reference_days": REFERENCE_DAYS})
    assert (reference(engine, asked, day(days), watched) is not None) == enough


@pytest.mark.parametrize(("studies", "compared"), [(10, True), (9, False)])
def test_ten_cath_reports_of_a_day_are_compared(
    engine: Engine, settings: Settings, studies: int, compared: bool
) -> None:
    routine, today = hospital_of(engine, 9, ecgs_per_day=100), day(8)
    asked = settings.model_copy(update={"reference_days": 8})
    kept = "SELECT study_id FROM cath_studies WHERE performed_at >= :start ORDER BY study_id LIMIT :most"
    values = {"start": today.start, "most": studies, "of_day": "sp8-%"}
    with tampering(engine) as connection:
        for table in ("segment_stenoses", "cath_studies"):
            others = f"DELETE FROM {table} WHERE study_id LIKE :of_day AND study_id NOT IN ({kept})"  # noqa: S608
            connection.execute(text(others), values)
    assert bool(list(labels.measure(engine, asked, today, routine.watched()))) == compared


def test_a_saturday_is_held_against_saturdays(engine: Engine, settings: Settings) -> None:
    """On which half as many ECGs come as on other days."""
    routine, saturday = hospital_of(engine, 20, ecgs_per_day=40), day(19)
    asked = settings.model_copy(update={"reference_days": 14})
    found = list(operations.measure(engine, asked, saturday, routine.watched()))
    assert of(found, "feed_ratio")[None].value > 0.7


@pytest.mark.slow
def test_figures_are_the_same_at_every_look(hospital: Routine, settings: Settings) -> None:
    """Samples and permutations are drawn from seeds; after an ANALYZE, Postgres adds up in another order."""
    hospital.write(REFERENCE_DAYS)
    window = day(REFERENCE_DAYS)
    first = measured(hospital, settings, window)
    with tampering(hospital.engine) as connection:
        connection.execute(text("ANALYZE"))
    assert measured(hospital, settings, window) == first
