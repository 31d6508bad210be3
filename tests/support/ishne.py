"""A writer of ISHNE 1.0 files, by the standard's table of the header and apart from the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stence.ecg import LEADS

CODES = {name: code for code, name in enumerate(LEADS, start=5)}


def crc_ccitt(content: bytes) -> int:
    """CRC-CCITT with the initial value 0xFFFF, bit by bit."""
    register = 0xFFFF
    for byte in content:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (0x1021 if register & 0x8000 else 0)) & 0xFFFF
    return register


def ishne(
    samples: NDArray[np.int16],
    leads: Sequence[str],
    *,
    resolution: int = 2500,
    rate: int = 500,
    patient: bytes = b"P-17",
    born: tuple[int, int, int] = (2, 3, 1950),
    recorded: datetime = datetime(2020, 3, 2, 8, 30, 15),
    declared: int | None = None,
    remark: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """Write samples (n, k). Resolution in nV, rate in Hz; ``declared`` is the number of samples to claim."""
    padding = [-9] * (12 - len(leads))
    header = struct.pack(
        "<iiiih", len(remark), len(samples) if declared is None else declared, 522, 522 + len(remark), 1
    )
    header += struct.pack("<40s40s20s", b"Ann", b"Other", patient)
    header += struct.pack("<hh", 2, 0)
    header += struct.pack("<9h", *born, recorded.day, recorded.month, recorded.year, 1, 1, 2021)
    header += struct.pack("<3hh", recorded.hour, recorded.minute, recorded.second, len(leads))
    header += struct.pack("<12h", *(CODES.get(lead, 0) for lead in leads), *padding)
    header += struct.pack("<12h", *[0] * len(leads), *padding)
    header += struct.pack("<12h", *[resolution] * len(leads), *padding)
    header += struct.pack("<h40sh80s80s88s", 0, b"H12+ recorder", rate, b"", b"", b"") + remark
    crc = crc_ccitt(header) if checksum is None else checksum
    return b"ISHNE1.0" + struct.pack("<H", crc) + header + samples.astype("<i2").tobytes()
