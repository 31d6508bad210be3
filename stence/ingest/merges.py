"""Merged patient numbers, from tables in the store or by command; ECGs, flags, studies and splits follow.

Tables are mirrored: a merge that is removed from them ends. The history stays in ``patient_merges``.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial

from sqlalchemy import Connection, Engine, Update, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.identity import remember
from stence.database.outage import transact
from stence.database.tables import patient_merges, patient_splits
from stence.domain.patients import certain_id
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import Split, split_of
from stence.errors import PatientMergeError, StoreUnavailableError
from stence.ingest.faults import SourceKind, log_faults, write_faults
from stence.ingest.merge_rows import (
    Merge,
    MergeTables,
    consistent,
    present_numbers,
    read_merges,
    without_opted_out,
)
from stence.ingest.patients import load_opt_outs, load_patients
from stence.ingest.records import update_records
from stence.objects import ObjectStore
from stence.pseudonym_key import load_pseudonyms
from stence.retry import retry
from stence.settings import Settings

log = logging.getLogger(__name__)

MOST_USED_FIRST = tuple(Split)
"""If any number of a patient is in the training split, all are: no model is tested on a training patient."""
STEPS = (
    "merges_02_changed",
    "merges_03_aliases",
    "merges_04_ecgs",
    "merges_05_flags",
    "merges_06_studies",
    "merges_07_pairs",
    "merges_08_reopen",
    "merges_09_records",
)
_M = patient_merges.c


def import_merges(engine: Engine, store: ObjectStore, settings: Settings) -> int:
    """Update the merges from the tables in the store; merges by command stay. Return the number of changes.

    Without any table nothing changes, because an unmounted folder is the more likely cause.
    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    read = partial(read_merges, store, settings.patient_prefix, load_pseudonyms(settings))
    tables = retry(read, settings.outage_seconds, StoreUnavailableError)
    if not tables.files:
        return 0
    changed = transact(engine, settings.outage_seconds, _mirror, tables)
    if changed:
        log.warning("merged patient numbers: %d changed", changed)
    return changed


def merge(
    connection: Connection, pseudonyms: Pseudonyms, former: str, present: str, *, by: str, why: str
) -> str:
    """Merge a patient's former number into the present number. Return a sentence about the patient's split.

    Raises PatientMergeError if either is not a patient number, the former number is already merged, or the
    merge is circular.
    """
    numbers = certain_id(former, PatientMergeError), certain_id(present, PatientMergeError)
    former_id, present_id = map(pseudonyms.of, numbers)
    opted_out = load_opt_outs(connection)
    _lock(connection)
    if former_id in opted_out or present_id in opted_out:
        raise PatientMergeError(
            "The patient with one of these numbers has opted out: opt out the other number as well."
        )
    remember(connection, dict(zip((former_id, present_id), numbers, strict=True)))
    standing = _active(connection)
    if former_id in standing:
        raise PatientMergeError("This number is merged already; stence patients show names the other one.")
    kept, _ = consistent([Merge(former_id, present_id)], standing)
    if not kept:
        raise PatientMergeError("This merge would be circular: one of the merges has the wrong direction.")
    row = {
        "former_id": former_id,
        "present_id": present_id,
        "source": "command",
        "made_by": by,
        "reason": why,
    }
    patients = load_patients(connection)
    splits = {patients.split_of(former_id), patients.split_of(present_id)}
    connection.execute(insert(patient_merges).values(state="active", **row))
    _apply(connection, standing | {former_id: present_id})
    split = min(splits, key=MOST_USED_FIRST.index)
    if len(splits) == 1:
        return f"Both numbers are of the same split, {split}."
    return f"The numbers were of different splits: all are {split} from now on, permanently."


def unmerge(connection: Connection, pseudonyms: Pseudonyms, former: str, *, by: str) -> None:
    """End the merge of a former number. The number is a patient of its own again and keeps the merge's split.

    Raises PatientMergeError if the number is not merged, or if a table in the store holds the merge: then the
    table must be corrected.
    """
    former_id = pseudonyms.of(certain_id(former, PatientMergeError))
    _lock(connection)
    active = (_M.former_id == former_id, _M.state == "active")
    source = connection.scalar(select(_M.source).where(*active))
    if source is None:
        raise PatientMergeError("This number is not merged.")
    if source == "file":
        raise PatientMergeError("A merge table in the store holds this merge: take the row out there.")
    connection.execute(_ended(by).where(*active))
    _apply(connection, _active(connection))


def _lock(connection: Connection) -> None:
    connection.execute(queries.statement("merges_01_lock"))


def _mirror(connection: Connection, tables: MergeTables) -> int:
    """Replace the active merges from files by those in the tables. Return the number of changed numbers."""
    opted_out = load_opt_outs(connection)
    _lock(connection)
    remember(connection, opted_out.allowed(tables.numbers))
    by_command = _active(connection, source="command")
    kept_files = _active(connection, source="file", below=tuple(tables.not_read))
    standing = _active(connection, source="file")
    allowed, opted_out_faults = without_opted_out(tables.merges, standing, opted_out)
    kept, contradictions = consistent(allowed, by_command | kept_files)
    faults = [*tables.faults, *opted_out_faults, *contradictions]
    wanted = {merge.former_id: merge for merge in kept if merge.former_id not in by_command}
    gone = [
        former
        for former, present in standing.items()
        if former not in kept_files and (former not in wanted or wanted[former].present_id != present)
    ]
    connection.execute(_ended("stence").where(_M.state == "active", queries.among(_M.former_id, gone)))
    new = [m for m in wanted.values() if standing.get(m.former_id) != m.present_id]
    if new:
        connection.execute(insert(patient_merges), [_from_file(merge) for merge in new])
    write_faults(connection, SourceKind.MERGE, faults)
    for key, reasons in _by_source(faults).items():
        log_faults(log, SourceKind.MERGE, key, reasons)
    return _apply(connection, _active(connection)) if gone or new else 0


def _from_file(merge: Merge) -> dict[str, str | None]:
    return {
        "former_id": merge.former_id,
        "present_id": merge.present_id,
        "state": "active",
        "source": "file",
        "source_key": merge.source_key,
        "made_by": "merge table",
        "reason": f"line {merge.line} of the table",
    }


def _active(
    connection: Connection, source: str | None = None, below: tuple[str, ...] | None = None
) -> dict[str, str]:
    """Select active merges, former -> present number: all, of a source, or of tables below some prefixes."""
    statement = select(_M.former_id, _M.present_id, _M.source_key).where(_M.state == "active")
    if source is not None:
        statement = statement.where(_M.source == source)
    return {
        former: present
        for former, present, key in connection.execute(statement)
        if below is None or (key or "").startswith(below)
    }


def _ended(by: str) -> Update:
    return update(patient_merges).values(state="ended", ended_by=by, ended_at=func.now())


def _apply(connection: Connection, merges: Mapping[str, str]) -> int:
    """Apply the active merges to all tables. Return the count of numbers whose present number changed."""
    numbers = present_numbers(merges)
    connection.execute(queries.statement("stage_merges"))
    connection.execute(queries.statement("stage_manifest_rows"))
    copy_rows(connection, "staged_aliases", ("patient_id", "present_id"), numbers.items())
    for step in STEPS:
        connection.execute(queries.statement(step))
    update_records(connection)
    _decide_splits(connection, numbers)
    connection.execute(queries.statement("merges_10_splits"))
    return int(connection.exec_driver_sql("SELECT count(*) FROM changed_patients").scalar_one())


def _decide_splits(connection: Connection, numbers: Mapping[str, str]) -> None:
    """Give all numbers of a patient one split. If they differ, the first in MOST_USED_FIRST is stored."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for former, present in numbers.items():
        groups[present] |= {former, present}
    patient, split = patient_splits.c.patient_id, patient_splits.c.split
    merged = queries.among(patient, set().union(*groups.values()))
    known = connection.execute(select(patient, split).where(merged))
    decided = {number: Split(split) for number, split in known}
    rows = []
    for group in groups.values():
        splits = {decided.get(number) or split_of(number) for number in group}
        if len(splits) > 1:
            chosen = min(splits, key=MOST_USED_FIRST.index)
            rows += [{"patient_id": number, "split": chosen} for number in group]
    if rows:
        statement = upsert(patient_splits)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["patient_id"], set_={"split": statement.excluded.split}
            ),
            rows,
        )
        _note_splits(connection)


def _note_splits(connection: Connection) -> None:
    """Record the decided split in the merge history."""
    decided = select(patient_splits.c.split).where(patient_splits.c.patient_id == _M.former_id)
    connection.execute(
        update(patient_merges).where(_M.state == "active").values(split=decided.scalar_subquery())
    )


def _by_source(faults: Iterable[tuple[str, int, str]]) -> dict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, _, reason in faults:
        found[key][reason] += 1
    return found
