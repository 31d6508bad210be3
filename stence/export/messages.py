"""Messages about flags, and the identifiers that receivers know their parts by."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from stence.domain.targets import TARGET_NAMES

NAMESPACE = uuid.UUID("f3b0e6f4-7a0f-5b5d-9f51-6b6d5c1c2f0e")
"""Namespace of the name-based UUIDs (RFC 9562, version 5) of flags. It must never change."""
WITHDRAWN = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Message:
    """A flag as it is sent. ``status`` is final, corrected or entered-in-error, as in FHIR.

    ``patient_id`` is the pseudonym, or the number where receivers get numbers.
    """

    id: int
    status: str
    patient_id: str
    planned_at: datetime
    flag_id: int
    content_hash: bytes
    target: str
    probability: float
    threshold: float
    rule: str
    raised_at: datetime
    withdrawn_for: str | None
    acquired_at: datetime | None
    model_version: str
    model_sha256: str
    card: Mapping[str, str]
    """Key and SHA-256 of each file of the model card."""
    run_id: uuid.UUID | None
    scored_at: datetime | None
    probabilities: Mapping[str, float]
    """Calibrated probability by target, that of the flag first."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Make a message of a row of the statement ``export_03_waiting``."""
        values = dict(row)
        scored = {name: values.pop(name) for name in TARGET_NAMES}
        others = {name: score for name, score in scored.items() if score is not None}
        card = values.pop("card") or {}
        return cls(**values, card=card, probabilities={row["target"]: row["probability"]} | others)

    @property
    def identifier(self) -> uuid.UUID:
        """Identifier of the flag, the same in every database: by its model, ECG and target."""
        return uuid.uuid5(NAMESPACE, f"{self.model_sha256} {self.content_hash.hex()} {self.target}")

    @property
    def edition(self) -> uuid.UUID:
        """Identifier of this message. Of a flag's first one it is the same in every database."""
        number = "" if self.status == "final" else self.id
        return uuid.uuid5(self.identifier, f"{self.status} {number}")
