"""Flags as CSV files in the store, for systems without FHIR."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from stence.domain.targets import TARGET_NAMES
from stence.domain.text import quoted_formula
from stence.errors import StoreUnavailableError
from stence.export.ledger import Receipt
from stence.export.messages import Message
from stence.export.patients import PatientNames
from stence.objects import ObjectStore
from stence.retry import retry

COLUMNS = (
    "identifier", "status", "patient", "patient_system", "target", "probability", "threshold", "rule",
    "ecg_recorded_at", "raised_at", "model_version", "run_id", "flag_id", *TARGET_NAMES,
)  # fmt: skip


class CsvFiles:
    """Writes one file for each batch of messages, named by the number of the first one."""

    def __init__(self, store: ObjectStore, prefix: str, names: PatientNames, outage_seconds: float) -> None:
        self._store, self._prefix, self._names = store, prefix, names
        self._outage_seconds = outage_seconds

    def deliver(self, messages: Sequence[Message]) -> Iterator[list[Receipt]]:
        """See Channel. A batch that is sent again replaces its own file."""
        if not messages:
            return
        key = f"{self._prefix}{messages[0].id:012d}.csv"
        content = self._table(messages)
        retry(lambda: self._store.put(key, content), self._outage_seconds, StoreUnavailableError)
        yield [Receipt(message, key) for message in messages]

    def _table(self, messages: Sequence[Message]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([*map(_cell, self._row(message))] for message in messages)
        return text.getvalue().encode()

    def _row(self, m: Message) -> tuple[Any, ...]:
        recorded = m.acquired_at.isoformat() if m.acquired_at else None
        return (
            m.identifier, m.status, m.patient_id, self._names.system, m.target, m.probability,
            m.threshold, m.rule, recorded, m.raised_at.isoformat(), m.model_version, m.run_id, m.flag_id,
            *(m.probabilities.get(name) for name in TARGET_NAMES),
        )  # fmt: skip


def _cell(value: Any) -> Any:
    """Quote text that a spreadsheet would compute."""
    return quoted_formula(value) if isinstance(value, str) else value
