"""Reference to a patient in exports: the pseudonym, or the hospital's own number where settings allow it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection

from stence.database import queries
from stence.errors import ConfigurationError
from stence.export.messages import NAMESPACE, Message
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings


class PatientNames(NamedTuple):
    """System of the patients' names in exports; ``by_number`` where these are the hospital's own numbers."""

    system: str
    by_number: bool


def patient_names(settings: Settings) -> PatientNames:
    """Return the names that the settings ask for. Each key of pseudonyms has a system of its own."""
    if settings.patient_system is not None:
        return PatientNames(settings.patient_system, by_number=True)
    fingerprint = load_pseudonyms(settings).fingerprint
    return PatientNames(uuid.uuid5(NAMESPACE, fingerprint).urn, by_number=False)


def with_numbers(connection: Connection, messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the patients' numbers, read from the map; the audit records the read.

    Raises ConfigurationError if the map lacks one.
    """
    values = {"message_ids": [message.id for message in messages]}
    found = connection.execute(queries.statement("export_04_numbers"), values)
    numbers = {patient: number for patient, number in found}
    if any(message.patient_id not in numbers for message in messages):
        raise ConfigurationError(
            "The map of patients lacks the number of a patient whose flag is to be sent."
        )
    return [replace(message, patient_id=numbers[message.patient_id]) for message in messages]
