"""Pseudonyms of patients: what every table, file and message of stence holds instead of patient numbers.

A pseudonym is a keyed BLAKE2b hash (a message authentication code by RFC 7693, section 2.9) of 128 bits. It
tells nothing about the number to whoever lacks the key. Two keys would make two patients of one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Pseudonyms by one key.

    >>> Pseudonyms(b"secret").of("4711")
    '9e960f1ecefc3ccf5b7dcdfcc41c5ae3'
    """

    key: bytes = field(repr=False)  # never in a log or a traceback

    @classmethod
    def by(cls, secret: str) -> Pseudonyms:
        """Return the pseudonyms by a secret text of any length, as it is written in settings or a file."""
        return cls(hashlib.blake2b(secret.encode(), digest_size=KEY_BYTES).digest())

    def of(self, number: str) -> str:
        """Return the pseudonym of a patient number (see ``patients.patient_id``): 32 hexadecimal digits."""
        text = number.encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self.key, digest_size=16).hexdigest()

    @property
    def fingerprint(self) -> str:
        """SHA-256 that tells keys apart and reveals none."""
        return hashlib.sha256(b"system of pseudonyms " + self.key).hexdigest()
