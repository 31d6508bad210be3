"""Merge tables: CSV or Parquet files in the store, ``former_id,present_id``, one row per former number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from stence.domain.opt_outs import OptOuts
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import ObjectError, PatientMergeError
from stence.ingest.faults import Fault
from stence.ingest.tables import (
    Cells,
    FileError,
    FileFault,
    RowError,
    RowFault,
    is_table,
    named_patient,
    read_rows,
)
from stence.objects import ObjectStore

COLUMNS = ("former_id", "present_id")


class Merge(NamedTuple):
    """Pseudonyms of a patient's former number, and of the number that replaces it."""

    former_id: str
    present_id: str
    source_key: str | None = None
    line: int = 0


class MergeTables(NamedTuple):
    """Content of the merge tables: merges, faults, and files or prefixes that could not be read."""

    files: int
    merges: list[Merge]
    faults: list[Fault]
    not_read: list[str]
    numbers: dict[str, str]
    """Number of each pseudonym in the tables, for the map of patients alone."""


def read_merges(store: ObjectStore, prefix: str, pseudonyms: Pseudonyms) -> MergeTables:
    """Read every ``*.csv`` and ``*.parquet`` below ``prefix``. Raises StoreUnavailableError."""
    found, files = MergeTables(0, [], [], [], {}), 0
    for item in store.list(prefix, partial(_not_read, found)):
        if is_table(item.key):
            files += 1
            try:
                _take_rows(item.key, store, found, pseudonyms)
            except FileError as error:
                _not_read(found, item.key, error.fault)
            except ObjectError:
                _not_read(found, item.key)
    return found._replace(files=files)


def _not_read(found: MergeTables, prefix: str, fault: FileFault = FileFault.NOT_FETCHED) -> None:
    found.not_read.append(prefix)
    found.faults.append(Fault(prefix, 0, fault))


def _take_rows(key: str, store: ObjectStore, found: MergeTables, pseudonyms: Pseudonyms) -> None:
    for line, cells in read_rows(key, store.stream(key), COLUMNS):
        try:
            numbers = _parsed(cells)
        except RowError as error:
            found.faults.append(Fault(key, line, error.fault))
        else:
            former, present = map(pseudonyms.of, numbers)
            found.numbers.update(zip((former, present), numbers, strict=True))
            found.merges.append(Merge(former, present, key, line))


def _parsed(cells: Cells | RowError) -> tuple[str, str]:
    if isinstance(cells, RowError):
        raise cells
    return named_patient(cells["former_id"]), named_patient(cells["present_id"])


def consistent(merges: Iterable[Merge], standing: Mapping[str, str]) -> tuple[list[Merge], list[Fault]]:
    """Select the merges that are consistent with those ``standing`` (former -> present number); add faults.

    A number that is merged into two others is not merged. Circular merges are not applied either.
    """
    merges = list(dict.fromkeys(merges))
    targets: dict[str, set[str]] = {former: {present} for former, present in standing.items()}
    for merge in merges:
        targets.setdefault(merge.former_id, set()).add(merge.present_id)
    single = {former: next(iter(into)) for former, into in targets.items() if len(into) == 1}
    kept, faults = [], []
    for merge in merges:
        if len(targets[merge.former_id]) > 1:
            faults.append(Fault(merge.source_key or "", merge.line, RowFault.MERGE_CONTRADICTED))
        elif _is_circular(merge.former_id, single):
            faults.append(Fault(merge.source_key or "", merge.line, RowFault.MERGE_CIRCULAR))
        else:
            kept.append(merge)
    return kept, faults


def without_opted_out(
    merges: Iterable[Merge], standing: Mapping[str, str], opted_out: OptOuts
) -> tuple[list[Merge], list[Fault]]:
    """Select the merges of patients of whom something may be kept; add faults.

    A merge with two opted-out numbers is kept only where it is ``standing`` (former -> present number). With
    one it is a fault, because a person must opt out the other number as well.
    """
    kept, faults = [], []
    for merge in merges:
        match (merge.former_id in opted_out, merge.present_id in opted_out):
            case (False, False):
                kept.append(merge)
            case (True, True):
                if standing.get(merge.former_id) == merge.present_id:
                    kept.append(merge)
            case _:
                faults.append(Fault(merge.source_key or "", merge.line, RowFault.MERGE_OPTED_OUT))
    return kept, faults


def present_numbers(merges: Mapping[str, str]) -> dict[str, str]:
    """Map every former number to its present number, at the end of its chain.

    Raises PatientMergeError if the merges form a circle.
    """
    if any(_is_circular(former, merges) for former in merges):
        raise PatientMergeError("The active rows of patient_merges form a circle: end one of them.")
    return {former: _follow(former, merges) for former in merges}


def _is_circular(start: str, merges: Mapping[str, str]) -> bool:
    seen, number = {start}, merges.get(start)
    while number is not None:
        if number in seen:
            return True
        seen.add(number)
        number = merges.get(number)
    return False


def _follow(number: str, merges: Mapping[str, str]) -> str:
    while number in merges:
        number = merges[number]
    return number
