"""FHIR bundles as files in the store, for systems that load files. One file per message, by its number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from stence.errors import StoreUnavailableError
from stence.export.bundle import transaction
from stence.export.ledger import Receipt
from stence.export.messages import Message
from stence.export.patients import PatientNames
from stence.objects import ObjectStore
from stence.retry import retry


class FhirFiles:
    """Writes bundles below ``prefix``. Their order is that of their names, in which they must be loaded."""

    def __init__(self, store: ObjectStore, prefix: str, names: PatientNames, outage_seconds: float) -> None:
        self._store, self._prefix, self._names = store, prefix, names
        self._outage_seconds = outage_seconds

    def deliver(self, messages: Sequence[Message]) -> Iterator[list[Receipt]]:
        """See Channel. A message that is sent again replaces its own file."""
        for message in messages:
            yield [self._write(message)]

    def _write(self, message: Message) -> Receipt:
        key = f"{self._prefix}{message.id:012d}.json"
        content = json.dumps(transaction(message, self._names, self._store.url), indent=1).encode()
        retry(lambda: self._store.put(key, content), self._outage_seconds, StoreUnavailableError)
        return Receipt(message, key)
