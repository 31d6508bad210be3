"""A shadow takes the champion's place: after its days, and only if what it did in shadow speaks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, select, text

from stence.cli import main
from stence.database import queries
from stence.database.tables import model_events, models, promotion_refusals
from stence.domain.checks import Result
from stence.settings import Settings
from stence.training.promotion import evidence, promote_due
from support.database import tampering
from support.environment import set_environment
from support.routine import Routine

MANIFEST = (
    '{"thresholds": {"stenosis_70": {"value": 0.6, "rule": "r"}}, "gate": {"better": true, "checks": []}}'
)


def like(scores: np.ndarray) -> np.ndarray:
    return np.clip(scores + np.random.default_rng(0).normal(0, 0.02, scores.shape), 0, 1)


def shuffled(scores: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(scores)


def hospital(engine: Engine, draw: Callable[[Any], Any]) -> None:
    """A day of ECGs scored by the champion, and by a shadow whose scores ``draw`` makes of the champion's."""
    routine = Routine(engine)
    routine.crown("old")
    routine.write(0)
    with tampering(engine) as connection:
        for statement in (
            "INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest)"
            " VALUES ('new', 'shadow', 'f', 's', 'p1', :manifest)",
            "INSERT INTO model_events (version, from_state, to_state, changed_by, reason)"
            " VALUES ('new', 'candidate', 'shadow', 'gate', 'passed')",
        ):
            connection.execute(text(statement), {"manifest": MANIFEST} if ":manifest" in statement else {})
    routine.version = "new"
    routine.rescore("old", 0, 1, draw)


def champion(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(select(models.c.version).where(models.c.state == "champion")))


def last_reason(engine: Engine) -> str:
    with engine.connect() as connection:
        newest = select(model_events.c.reason).order_by(model_events.c.id.desc()).limit(1)
        return str(connection.scalar(newest))


def test_a_better_shadow_is_promoted_with_its_evidence(engine: Engine) -> None:
    hospital(engine, like)
    with engine.begin() as connection:
        assert promote_due(connection, 1) == []
        [attempt] = promote_due(connection, 0)
    assert attempt.promoted
    assert champion(engine) == "new"
    assert "passed shadow: rank correlation of the risks of " in last_reason(engine)


def test_a_shadow_that_shuffles_patients_is_not_promoted_and_the_reason_is_told(engine: Engine) -> None:
    hospital(engine, shuffled)
    with engine.begin() as connection:
        [attempt] = promote_due(connection, 0)
    assert not attempt.promoted
    assert champion(engine) == "old"
    assert attempt.evidence.text("shadow").startswith("failed shadow: rank correlation of the risks")


def test_a_refusal_is_kept_and_told_and_a_repeated_one_moves_its_last_time(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital(engine, shuffled)
    kept = []
    for _ in range(3):
        with engine.begin() as connection:
            [attempt] = promote_due(connection, 0)
        with engine.connect() as connection:
            kept.append(connection.execute(select(promotion_refusals)).mappings().one())
    first, _, last = kept
    assert (last["version"], last["result"], last["looks"]) == ("new", "failed", 3)
    assert last["checks"] == [check.name for check in attempt.evidence.responsible]
    assert "agreement with the champion" in last["checks"]
    assert last["reason"].startswith("rank correlation of the risks of ")
    assert first["first_at"] == last["first_at"] == first["last_at"] < last["last_at"]

    with tampering(engine) as connection:
        connection.execute(text("DELETE FROM scores WHERE model_version = 'new'"))
        promote_due(connection, 0)
    with engine.connect() as connection:
        _, told = queries.run(connection, "promotion_refusals", {})
    assert [row[1:4] for row in told] == [
        ("new", "cannot tell", "shadow"),
        ("new", "failed", ", ".join(last["checks"])),
    ]
    set_environment(monkeypatch, settings)
    done = CliRunner().invoke(main, ["models", "refusals"], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    assert "rank correlation of the risks of " in done.output


def test_a_promotion_is_no_refusal(engine: Engine) -> None:
    hospital(engine, like)
    with engine.begin() as connection:
        promote_due(connection, 0)
        assert connection.execute(select(promotion_refusals)).all() == []


def test_outcomes_are_studies_that_were_not_known_when_the_shadow_scored(engine: Engine) -> None:
    hospital(engine, like)
    known = text("UPDATE cath_studies SET first_seen_at = :at")
    for at, count in (("2020-01-01Z", 0), ("2099-01-01Z", None)):
        with engine.begin() as connection:
            connection.execute(known, {"at": at})
            found = evidence(connection, "new").checks[-1]
            studies = connection.scalar(text("SELECT count(*) FROM cath_studies"))
        assert found.name == "first outcomes"
        numbers = [int(word) for word in found.finding.split() if word.isdigit()]
        assert sum(numbers[:2]) == (0 if count == 0 else studies) or "referred patients" in found.finding


def test_a_person_sees_the_evidence_and_it_is_kept_with_the_reason(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital(engine, shuffled)
    set_environment(monkeypatch, settings)
    command = ["models", "promote", "new", "--by", "ada", "--why", "the old one is broken"]
    done = CliRunner().invoke(main, command, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "agreement with the champion" in done.output
    assert "new is champion." in done.output
    assert last_reason(engine).startswith("the old one is broken (failed shadow: rank correlation")


def test_a_candidate_that_never_scored_has_no_evidence(engine: Engine) -> None:
    hospital(engine, like)
    with tampering(engine) as connection:
        connection.execute(text("DELETE FROM scores WHERE model_version = 'new'"))
        found = evidence(connection, "new")
        assert found.result is Result.CANNOT_TELL
        assert evidence(connection, "old").reasons == ["there is no champion to compare with"]


def test_with_two_people_one_promotion_waits_at_a_time(engine: Engine) -> None:
    """Else the next run would request an older shadow, which it would never have promoted."""
    hospital(engine, like)
    with tampering(engine) as connection:
        newer = "INSERT INTO models SELECT 'newer', state, folder, sha256, preprocessing_version, manifest"
        connection.execute(text(f"{newer} FROM models WHERE version = 'new'"))
        event = "INSERT INTO model_events (version, from_state, to_state, changed_by, reason, changed_at)"
        ago = "now() - interval '1 day'"
        connection.execute(text(f"{event} VALUES ('newer', 'candidate', 'shadow', 'gate', 'passed', {ago})"))
        connection.execute(
            text("INSERT INTO scores SELECT content_hash, 'newer', preprocessing_version, stenosis_50,"
                 " stenosis_70, stenosis_90, stenosis_100, rca_70, lca_70, run_id, scored_at FROM scores"
                 " WHERE model_version = 'new'")
        )  # fmt: skip
    for _ in range(2):
        with engine.begin() as connection:
            promote_due(connection, 0, two_people=True)
    with engine.connect() as connection:
        requested = connection.scalars(text("SELECT version FROM promotion_requests ORDER BY id")).all()
    assert requested == ["newer"]
