"""Flags that a person withdraws: chosen by model, device and day, counted first, kept, and restored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from stence import registry, scoring
from stence.cli import main
from stence.database.tables import ecgs, flag_decisions, flags
from stence.objects import ObjectStore
from stence.settings import Settings
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.identity import put_manifest
from support.models import ShapeScorer, promote
from support.scoring import ScoreAll, all_rows

Stence = Callable[..., str]
OLD, NEW = ShapeScorer("old", threshold=0), ShapeScorer("new", threshold=0)
WHO = ("--by", "Dr A", "--why", "leads swapped")
COUNTED = """
SELECT flags = open + confirmed + dismissed + withdrawn AND withdrawn = model_retired + by_person + ecg_void
FROM flag_counts
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A hospital whose days are not those of UTC."""
    return settings.model_copy(update={"timezone": "America/New_York"})


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Stence:
    """What ``stence …`` prints."""
    set_environment(monkeypatch, settings)
    return lambda *arguments: CliRunner().invoke(main, arguments).output


@pytest.fixture
def scored(engine: Engine, store: ObjectStore, score_all: ScoreAll) -> None:
    """Four ECGs, of P0 to P3, each flagged for six targets; P0 and P1 by one device, P0 and P2 on one day."""
    for number in range(4):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: P{number}",))
    score_all(OLD)
    about = text(
        "UPDATE ecgs AS e SET device = CASE WHEN number < 'P2' THEN 'Cardiograph 7' ELSE 'other' END, "
        "acquired_at = CAST(CASE WHEN number IN ('P0', 'P2') THEN '2026-11-02 23:30 America/New_York' "
        "ELSE '2026-11-03 00:00 America/New_York' END AS timestamptz) "
        "FROM identity.patients AS p WHERE p.patient_id = e.patient_id"
    )
    with tampering(engine) as connection:
        connection.execute(about)


def states(engine: Engine) -> dict[tuple[str, str, str | None], int]:
    """Flags by patient, state and reason."""
    return Counter(all_rows(engine, flags.c.patient_id, flags.c.state, flags.c.withdrawn_for))


def withdrawn(engine: Engine) -> set[str]:
    """Patients with a flag that a person withdrew; the counts of every model add up."""
    with tampering(engine) as connection:
        assert set(connection.scalars(text(COUNTED))) == {True}
        on_list = "SELECT number FROM flagged_patients JOIN identity.patients USING (patient_id)"
        listed = set(connection.scalars(text(on_list)))
    gone = {patient for patient, _, why in states(engine) if why == "by_person"}
    assert not listed & gone
    return gone


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (("--model", "old"), {"P0", "P1", "P2", "P3"}),
        (("--device", "Cardiograph 7"), {"P0", "P1"}),
        (("--from", "2026-11-03"), {"P1", "P3"}),
        (("--to", "2026-11-02"), {"P0", "P2"}),
        (("--from", "2026-11-02", "--to", "2026-11-02"), {"P0", "P2"}),
        (("--device", "Cardiograph 7", "--from", "2026-11-03"), {"P1"}),
        (("--device", "cardiograph"), set()),
    ],
)
def test_flags_are_withdrawn_by_model_device_and_day(
    engine: Engine, stence: Stence, options: tuple[str, ...], gone: set[str]
) -> None:
    stence("flags", "withdraw", *options, *WHO, "--yes")
    assert withdrawn(engine) == gone


@pytest.mark.usefixtures("scored")
def test_flags_are_counted_before_they_are_withdrawn(engine: Engine, stence: Stence) -> None:
    before = all_rows(engine, *flags.c)
    counted = stence("flags", "withdraw", "--device", "Cardiograph 7", *WHO)
    assert "2 flags of 2 patients" in counted
    assert "Nothing has changed" in counted
    assert all_rows(engine, *flags.c) == before
    assert all_rows(engine, flag_decisions.c.id) == []

    done = stence("flags", "withdraw", "--device", "Cardiograph 7", *WHO, "--yes")
    assert "2 flags of 2 patients" in done
    assert "stence flags restore 1" in done
    d = flag_decisions.c
    kept = all_rows(
        engine, d.decision, d.decided_by, d.reason, d.flags, d.device, d.model_version, d.first_day
    )
    assert kept == [("withdrawn", "Dr A", "leads swapped", 2, "Cardiograph 7", None, None)]
    said = all_rows(engine, flags.c.withdrawn_for, flags.c.withdrawal_id, flags.c.reviewed_by, flags.c.note)
    assert set(said) == {(None, None, None, None), ("by_person", 1, "Dr A", "leads swapped")}
    assert "Cardiograph 7" in stence("query", "flag_decisions")


@pytest.mark.usefixtures("scored")
def test_reviewed_flags_are_not_withdrawn(engine: Engine, stence: Stence) -> None:
    number = next(i for i, patient in all_rows(engine, ecgs.c.id, ecgs.c.patient_id) if patient == "P0")
    with engine.begin() as connection:
        scoring.reviews.review(connection, number, outcome="confirmed", by="Dr B")
    said = stence("flags", "withdraw", "--model", "old", *WHO, "--yes")
    assert "3 flags of 3 patients" in said
    assert all_rows(engine, flag_decisions.c.flags) == [(3,)]
    assert withdrawn(engine) == {"P1", "P2", "P3"}
    assert states(engine)["P0", "confirmed", None] == 1


@pytest.mark.usefixtures("scored")
def test_restored_flags_are_as_they_were(engine: Engine, stence: Stence) -> None:
    before = sorted(all_rows(engine, *flags.c))
    stence("flags", "withdraw", "--device", "Cardiograph 7", *WHO, "--yes")
    stence("flags", "withdraw", "--from", "2026-11-03", *WHO, "--yes")
    assert withdrawn(engine) == {"P0", "P1", "P3"}
    assert stence("flags", "restore", "1", *WHO) == "2 flags are open again.\n"
    assert withdrawn(engine) == {"P3"}
    assert stence("flags", "restore", "2", *WHO) == "1 flags are open again.\n"
    assert sorted(all_rows(engine, *flags.c)) == before
    d = flag_decisions.c
    kept = all_rows(engine, d.decision, d.flags, d.withdrawal_id)
    assert kept == [("withdrawn", 2, None), ("withdrawn", 1, None), ("restored", 2, 1), ("restored", 1, 2)]
    assert stence("flags", "restore", "1", *WHO).startswith("Error: No flag is withdrawn by decision 1")


@pytest.mark.usefixtures("scored")
def test_a_new_score_does_not_undo_what_a_person_withdrew(
    engine: Engine, store: ObjectStore, stence: Stence, score_all: ScoreAll
) -> None:
    stence("flags", "withdraw", "--device", "Cardiograph 7", *WHO, "--yes")
    store_ecg(store, "ecg/copy.hea", heartbeats(0), comments=("<subject_id>: P0",))
    score_all(OLD)
    assert withdrawn(engine) == {"P0", "P1"}


@pytest.mark.slow
@pytest.mark.usefixtures("scored")
def test_flags_that_wait_for_their_model_are_withdrawn_and_restored_with_the_others(
    engine: Engine, stence: Stence, score_all: ScoreAll
) -> None:
    promote(engine, NEW)
    score_all(NEW)
    assert "4 flags of 2 patients" in stence("flags", "withdraw", "--device", "Cardiograph 7", *WHO, "--yes")
    with engine.begin() as connection:
        registry.rollback(connection, by="bob", why="worse")
    assert withdrawn(engine) == {"P0", "P1"}
    printed = stence("flags", "restore", "1", *WHO)
    assert printed == "2 flags are open again.\n2 wait until their model is champion.\n"
    champion = Counter(all_rows(engine, flags.c.model_version, flags.c.state, flags.c.withdrawn_for))
    assert champion == {("old", "open", None): 4, ("new", "withdrawn", "model_retired"): 4}
    assert stence("flags", "restore", "1", *WHO).startswith("Error: No flag is withdrawn by decision 1")


def test_a_flag_without_a_valid_score_is_not_restored(
    engine: Engine, store: ObjectStore, settings: Settings, stence: Stence, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/0.hea", heartbeats(0))
    put_manifest(store, ("P0", "0"))
    score_all(OLD)
    stence("flags", "withdraw", "--model", "old", *WHO, "--yes")
    put_manifest(store)
    scoring.index(engine, store, settings)
    assert "1 stay withdrawn" in stence("flags", "restore", "1", *WHO)
    assert withdrawn(engine) == {"P0"}
    put_manifest(store, ("P0", "0"))
    score_all(OLD)
    assert withdrawn(engine) == {"P0"}
    assert stence("flags", "restore", "1", *WHO) == "1 flags are open again.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Name a --model, a --device, or a day"),
        (("--from", "2026-11-03", "--to", "2026-11-02"), "--to must not be earlier"),
        (("--model", "unknown"), "no model version unknown"),
    ],
)
def test_a_choice_that_makes_no_sense_is_told(
    engine: Engine, stence: Stence, options: tuple[str, ...], message: str
) -> None:
    assert message in stence("flags", "withdraw", *options, *WHO, "--yes")


MORE_ECGS = """
INSERT INTO ecgs OVERRIDING SYSTEM VALUE
SELECT (jsonb_populate_record(
    one.e, jsonb_build_object('content_hash', '\\x' || md5(n::text), 'id', 1000 + n)
)).*
FROM (SELECT ecgs AS e FROM ecgs LIMIT 1) AS one, generate_series(1, 11000) AS n
"""
MORE_FLAGS = """
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT e.content_hash, f.model_version, t.target, f.patient_id, f.probability, f.threshold, f.rule, 'open'
FROM ecgs AS e, (SELECT * FROM flags LIMIT 1) AS f,
     unnest(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'])
         AS t (target)
ON CONFLICT DO NOTHING
"""


@pytest.mark.slow
@pytest.mark.usefixtures("scored")
def test_more_flags_are_withdrawn_than_a_statement_has_parameters(engine: Engine, stence: Stence) -> None:
    """A model may be wrong for years: Postgres takes 65,535 parameters."""
    with tampering(engine) as connection:
        connection.execute(text(MORE_ECGS))
        connection.execute(text(MORE_FLAGS))
    assert "stence flags restore 1" in stence("flags", "withdraw", "--model", "old", *WHO, "--yes")
    found = Counter(all_rows(engine, flags.c.state))
    assert sum(found.values()) > 65_535
    assert set(found) == {("withdrawn",)}
