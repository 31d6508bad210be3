"""What is older than the settings keep is removed, by kind and age, and does not come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from sqlalchemy import Engine, func, insert, select, text, update

from stence.cli import main
from stence.database import queries
from stence.database.tables import (
    ecg_embeddings,
    ecg_measurements,
    ecg_pages,
    ecgs,
    flags,
    objects,
    quarantine,
    reviews,
    scores,
)
from stence.domain.retention import Retention
from stence.forgetting import retention
from stence.objects import ObjectStore
from stence.scoring.reviews import review
from stence.settings import Settings
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.models import ShapeScorer
from support.pseudonyms import numbers
from support.scoring import ScoreAll, all_rows, in_quarantine

OLD, NEW = "OLD", "NEW"
YEARS = 1000  # days; the ECGs of 2020 are older, in whatever year the test runs


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, score_all: ScoreAll) -> None:
    """Two ECGs, one years old, each with a flag, a review and a page."""
    put(store, OLD, 1, "01/03/2020")
    put(store, NEW, 2, None)
    score_all(ShapeScorer(threshold=0))
    with engine.begin() as connection:
        for ecg_id, content_hash, patient in connection.execute(
            select(ecgs.c.id, ecgs.c.content_hash, ecgs.c.patient_id)
        ).all():
            review(connection, ecg_id, outcome="confirmed", by="Dr A")
            key = f"pages/{numbers(engine)[patient]}.html"
            row = {"content_hash": content_hash, "model_version": "shape-1", "object_key": key}
            connection.execute(insert(ecg_pages).values(row | {"patient_id": patient}))
            store.put(key, b"page")


def put(store: ObjectStore, patient: str, signal: int, day: str | None) -> None:
    store_ecg(store, f"ecg/{patient}.hea", heartbeats(signal), comments=(f"<subject_id>: {patient}",))
    if day:
        key = f"ecg/{patient}.hea"
        header = store.get(key).decode().split("\n")
        header[0] += f" 08:30:00 {day}"
        store.put(key, "\n".join(header).encode())


def keeping(settings: Settings, **days: int) -> Settings:
    return settings.model_copy(update={"retention": Retention(**days)})


def test_by_default_everything_stays(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    assert not settings.retention.is_limited
    assert set(retention.past_retention(engine, settings).values()) == {0}
    assert set(retention.apply(engine, store, settings).values()) == {0}
    assert len(all_rows(engine, scores.c.content_hash)) == 2


def test_old_scores_go_with_all_that_was_made_of_them(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    limited = keeping(settings, scores_days=YEARS)
    assert retention.past_retention(engine, limited)["scores"] == 1
    counts = retention.apply(engine, store, limited)
    assert (counts["scores"], counts["pages"]) == (1, 1)
    assert all_rows(engine, ecgs.c.patient_id) == all_rows(engine, flags.c.patient_id) == [(NEW,)]
    for column in (
        scores.c.content_hash,
        reviews.c.id,
        ecg_embeddings.c.content_hash,
        ecg_pages.c.object_key,
    ):
        assert len(all_rows(engine, column)) == 1
    assert [item.key for item in store.list("pages/")] == ["pages/NEW.html"]
    assert (None,) in all_rows(engine, objects.c.content_hash)
    assert audited(engine) == {"scores": 1, "pages": 1}


def audited(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        entries = connection.execute(
            text("SELECT subject, detail FROM audit.entries WHERE action = 'rows.past_retention'")
        )
        return {subject: detail["rows"] for subject, detail in entries}


@pytest.mark.parametrize(
    ("kind", "column"),
    [("embeddings", ecg_embeddings.c.content_hash), ("measurements", ecg_measurements.c.content_hash)],
)
def test_a_kind_goes_alone(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings, kind: str, column: Any
) -> None:
    limited = keeping(settings, **{f"{kind}_days": YEARS})
    assert retention.apply(engine, store, limited) == dict.fromkeys(retention.KINDS, 0) | {kind: 1}
    assert len(all_rows(engine, column)) == 1
    assert len(all_rows(engine, scores.c.content_hash)) == 2


def test_pages_go_by_the_day_they_were_written(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    with engine.begin() as connection:
        old = {"written_at": func.now() - timedelta(days=9)}
        connection.execute(update(ecg_pages).filter_by(object_key="pages/NEW.html").values(old))
    assert retention.apply(engine, store, keeping(settings, pages_days=8))["pages"] == 1
    assert [item.key for item in store.list("pages/")] == ["pages/OLD.html"]


def test_closed_quarantine_rows_go_and_dismissed_ones_stay(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    for name in "1234":
        store.put(f"ecg/{name}.hea", b"nothing")
    score_all()
    states = zip("1234", ("open", "resolved", "retried", "dismissed"), strict=True)
    with engine.begin() as connection:
        for name, state in states:
            connection.execute(
                text(
                    "UPDATE quarantine SET state = :state, closed_at = now() - interval '9 days' "
                    "WHERE object_id = (SELECT id FROM objects WHERE key = :key)"
                ),
                {"state": state, "key": f"ecg/{name}.hea"},
            )
    assert retention.apply(engine, store, keeping(settings, quarantine_days=8))["quarantine"] == 2
    assert sorted(all_rows(engine, quarantine.c.state)) == [("dismissed",), ("open",)]


def test_old_ecgs_do_not_come_back_with_the_next_model(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    from support.scoring import run_scorer

    limited = keeping(settings, scores_days=YEARS)
    retention.apply(engine, store, limited)
    summary = run_scorer(engine, store, limited, ShapeScorer("shape-2"))
    assert (summary.scored, summary.quarantined) == (1, 1)
    assert in_quarantine(engine) == {"ecg/OLD.hea": "past_retention"}
    assert all_rows(engine, ecgs.c.patient_id) == [(NEW,)]
    with engine.connect() as connection:
        columns, rows = queries.run(connection, "worklist", {})
    for row in rows:
        found = dict(zip(columns, row, strict=True))
        assert found["indexed"] == found["scored"] + found["quarantined"] + found["pending"]


def test_a_large_backlog_goes_in_batches_and_a_killed_call_is_continued(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    limited = keeping(settings, scores_days=1, embeddings_days=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ecgs SET acquired_at = '2020-01-01Z'"))

    def killed(stage: str, done: int, *_: object) -> None:
        if stage.endswith("scores"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retention.apply(engine, store, limited, killed)
    assert len(all_rows(engine, scores.c.content_hash)) == 1
    assert retention.apply(engine, store, limited)["scores"] == 1
    assert all_rows(engine, ecgs.c.id) == []


def test_the_command_counts_first(
    hospital: None, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_RETENTION__SCORES_DAYS", str(YEARS))
    assert "repeat the command with --yes" in CliRunner().invoke(main, ["retention"]).output
    assert len(all_rows(engine, ecgs.c.id)) == 2
    assert "Removed." in CliRunner().invoke(main, ["retention", "--yes"]).output
    assert len(all_rows(engine, ecgs.c.id)) == 1


def test_a_negative_retention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENCE_RETENTION__PAGES_DAYS", "-1")
    with pytest.raises(ValidationError, match="negative"):
        Settings()


def test_without_a_time_nothing_waits_for_an_open_review(
    hospital: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    with tampering(engine) as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET lock_timeout = '2s'"))
    engine.dispose()
    with tampering(engine) as reviewing:
        reviewing.execute(text("LOCK TABLE reviews IN ROW EXCLUSIVE MODE"))
        assert sum(retention.apply(engine, store, settings).values()) == 0
