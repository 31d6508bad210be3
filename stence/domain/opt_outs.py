"""Patients who have opted out: known by keyed hashes of their pseudonyms, which name nobody."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

OPTED_OUT = "\\opted-out"
"""Stands in a manifest row for the pseudonym of a patient who has opted out."""


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The opt-out list. ``digests`` are HMAC-SHA-256 (RFC 2104) of pseudonyms under ``key``.

    >>> opted_out = OptOuts(b"key", frozenset({OptOuts(b"key").digest("4711")}))
    >>> "4711" in opted_out, "4712" in opted_out
    (True, False)
    """

    key: bytes = field(default=b"", repr=False)
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)

    def digest(self, patient_id: str) -> bytes:
        """Return the keyed hash of a pseudonym."""
        return hmac.digest(self.key, patient_id.encode(), "sha256")

    def allowed(self, numbers: Mapping[str, str]) -> dict[str, str]:
        """Return the entries of a map of patients that may be kept."""
        return {patient: number for patient, number in numbers.items() if patient not in self}

    def __contains__(self, patient_id: str) -> bool:
        """Return True if the patient with this pseudonym has opted out."""
        return patient_id == OPTED_OUT or (bool(self.digests) and self.digest(patient_id) in self.digests)
