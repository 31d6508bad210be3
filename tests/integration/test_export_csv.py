"""Flags go out as CSV files once each, and say when they were withdrawn."""

from __future__ import annotations

import csv
import io

from sqlalchemy import Engine

from stence.export import Sent, send_csv
from stence.objects import ObjectStore
from stence.settings import Settings
from support.exporting import FEW, change, withdraw


def test_csv_files_hold_each_flag_once_and_its_withdrawal(
    engine: Engine, few: list[int], store: ObjectStore, settings: Settings
) -> None:
    assert send_csv(engine, store, settings) == Sent(FEW, 0, 0, 0)
    assert send_csv(engine, store, settings) == Sent(0, 0, 0, 0)
    withdraw(engine, few[3])
    assert send_csv(engine, store, settings) == Sent(0, 0, 1, 0)
    first, second = (table(store, each.key) for each in store.list("export/csv/"))
    assert [int(row["flag_id"]) for row in first] == few
    assert [(int(row["flag_id"]), row["status"]) for row in second] == [(few[3], "entered-in-error")]
    assert second[0]["identifier"] == first[3]["identifier"]


def test_a_csv_file_that_was_not_marked_is_written_again_under_its_name(
    engine: Engine, few: list[int], store: ObjectStore, settings: Settings
) -> None:
    send_csv(engine, store, settings)
    change(engine, "UPDATE flag_exports SET sent_at = NULL, resource = NULL")
    assert send_csv(engine, store, settings) == Sent(FEW, 0, 0, 0)
    [only] = store.list("export/csv/")
    assert len(table(store, only.key)) == FEW


def test_a_formula_in_a_patients_number_is_quoted(
    engine: Engine, few: list[int], store: ObjectStore, settings: Settings
) -> None:
    change(engine, "INSERT INTO identity.patients VALUES ('pseudonym', '=1+1')")
    change(engine, "UPDATE flags SET patient_id = 'pseudonym' WHERE id = :f", f=few[0])
    send_csv(engine, store, settings.model_copy(update={"patient_system": "urn:oid:1.2"}))
    [only] = store.list("export/csv/")
    assert table(store, only.key)[0]["patient"] == "'=1+1"


def table(store: ObjectStore, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.get(key).decode())))
