"""Send what waits in the ledger to its receiver. It may be killed at any moment, and run more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, Engine

from stence.database import audit
from stence.database.outage import retry_outages, transact
from stence.domain.urls import without_secrets
from stence.export import ledger
from stence.export.fhir_files import FhirFiles
from stence.export.fhir_server import FhirServer
from stence.export.ledger import Receipt, Receiver
from stence.export.messages import Message
from stence.export.patients import PatientNames, patient_names, with_numbers
from stence.export.tables import CsvFiles
from stence.objects import ObjectStore
from stence.settings import Settings


class Channel(Protocol):
    """A way to a receiver."""

    def deliver(self, messages: Sequence[Message]) -> Iterator[list[Receipt]]:
        """Send the messages. Yield receipts as they come in, those of one file or request together.

        To send a message again must change nothing at the receiver.
        """


class Sent(NamedTuple):
    """Counts of an export. Refused messages are tried again by the next export."""

    raised: int
    corrected: int
    withdrawn: int
    refused: int


def send_fhir(
    engine: Engine, store: ObjectStore, settings: Settings, flags: Sequence[int] | None = None
) -> Sent:
    """Send new and changed flags as FHIR bundles, to the server of the settings or to files in the store.

    ``flags``: only changes of these, which the receiver was told about. Raises ReceiverUnavailableError or
    StoreUnavailableError after an outage, ConfigurationError if the server is no FHIR server or does not
    accept the token. What was not sent waits for the next export.
    """
    names, seconds = patient_names(settings), settings.outage_seconds
    if settings.fhir_url is None:
        files = FhirFiles(store, f"{settings.export_prefix}fhir/", names, seconds)
        return _send(engine, settings, receiver_of("fhir", store, settings), files, names, flags)
    with FhirServer(settings.fhir_url, settings.fhir_token, store.url, names, seconds) as server:
        return _send(engine, settings, receiver_of("fhir", store, settings), server, names, flags)


def send_csv(
    engine: Engine, store: ObjectStore, settings: Settings, flags: Sequence[int] | None = None
) -> Sent:
    """Write new and changed flags to a CSV file in the store; ``flags`` as in ``send_fhir``.

    Raises StoreUnavailableError after an outage; what was not written waits for the next export.
    """
    prefix = f"{settings.export_prefix}csv/"
    names = patient_names(settings)
    files = CsvFiles(store, prefix, names, settings.outage_seconds)
    return _send(engine, settings, receiver_of("csv", store, settings), files, names, flags)


def receiver_of(format: str, store: ObjectStore, settings: Settings) -> Receiver:
    """Return the receiver of a format by the settings: the FHIR server, or files in the store."""
    if format == "fhir" and settings.fhir_url is not None:
        return Receiver(format, without_secrets(settings.fhir_url))
    return Receiver(format, f"{store.url}/{settings.export_prefix}{format}/")


SENDERS: Mapping[str, Callable[..., Sent]] = {"fhir": send_fhir, "csv": send_csv}
"""The function of each format."""


def _send(
    engine: Engine,
    settings: Settings,
    receiver: Receiver,
    channel: Channel,
    names: PatientNames,
    flags: Sequence[int] | None,
) -> Sent:
    transact(engine, settings.outage_seconds, ledger.plan, receiver, flags)
    sending = _Sending(engine, receiver, channel, names, flags)
    try:
        while retry_outages(sending.send_batch, settings.outage_seconds):
            pass
    finally:  # also of what an outage left incomplete
        if sending.counts:
            transact(engine, settings.outage_seconds, sending.record)
    counts = sending.counts
    return Sent(counts["final"], counts["corrected"], counts["entered-in-error"], counts["refused"])


class _Sending:
    """Goes through the messages that wait, once, in batches."""

    def __init__(
        self,
        engine: Engine,
        receiver: Receiver,
        channel: Channel,
        names: PatientNames,
        flags: Sequence[int] | None,
    ) -> None:
        self._engine, self._receiver, self._channel = engine, receiver, channel
        self._names, self._flags = names, flags
        self._after, self._has_begun = 0, False
        self.counts: Counter[str] = Counter()

    def send_batch(self) -> bool:
        """Send the next batch; return False if nothing waits. After an outage it goes on where it was."""
        with self._engine.begin() as turn:
            ledger.take_turn(turn, self._receiver)
            messages = self._named(ledger.waiting(turn, self._receiver, self._after, self._flags))
            if messages:
                self._begin()
            for receipts in self._channel.deliver(messages):
                with self._engine.begin() as connection:
                    ledger.record(connection, receipts)
                self._count(receipts)
        return bool(messages)

    def _named(self, messages: list[Message]) -> list[Message]:
        """Give the messages the names that the receiver gets; a read of the map is recorded first."""
        if not messages or not self._names.by_number:
            return messages
        with self._engine.begin() as connection:
            return with_numbers(connection, messages)

    def _begin(self) -> None:
        """Write the audit before the first flag leaves: at its end a killed export tells nothing."""
        if not self._has_begun:
            with self._engine.begin() as connection:
                audit.record(connection, "export.begun", self._about, by="stence", why=None)
            self._has_begun = True

    def record(self, connection: Connection) -> None:
        """Write the audit of what was sent."""
        audit.record(connection, "export.sent", self._about, by="stence", why=None, **self.counts)

    @property
    def _about(self) -> str:
        return f"{self._receiver.format} {self._receiver.destination}"

    def _count(self, receipts: Sequence[Receipt]) -> None:
        self._after = receipts[-1].message.id
        self.counts.update(r.message.status if r.refusal is None else "refused" for r in receipts)
