"""Patients who have opted out: known by keyed hashes of their numbers, never by the numbers."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

OPTED_OUT = "\\opted-out"
"""Stands in a manifest row for the number of a patient who has opted out. No number holds a backslash."""


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The opt-out list. ``digests`` are HMAC-SHA-256 (RFC 2104) of patient numbers under ``key``.

    >>> opted_out = OptOuts(b"key", frozenset({OptOuts(b"key").digest("4711")}))
    >>> "4711" in opted_out, "4712" in opted_out
    (True, False)
    """

    key: bytes = field(default=b"", repr=False)
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)

    def digest(self, patient_id: str) -> bytes:
        """Return the keyed hash of a patient number."""
        return hmac.digest(self.key, patient_id.encode(), "sha256")

    def __contains__(self, patient_id: str) -> bool:
        """Return True if the patient with this number has opted out."""
        return patient_id == OPTED_OUT or (bool(self.digests) and self.digest(patient_id) in self.digests)
