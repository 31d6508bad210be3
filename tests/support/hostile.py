"""ECG files made to be slow or large to read, and what reading one takes."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

SAMPLE = Path(str(get_testdata_file("waveform_ecg.dcm")))
ITEM = b"\xfe\xff\x00\xe0"
END_OF_ITEM = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
UNDEFINED = b"\xff\xff\xff\xff"


def element(tag: int, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
    """An element in explicit VR little endian."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT", "UC", "UR", "UV", "SV"):
        length = UNDEFINED if undefined else struct.pack("<I", len(value))
        return head + bytes(2) + length + value + (END_OF_SEQUENCE if undefined else b"")
    return head + struct.pack("<H", len(value)) + value


def item(content: bytes = b"", *, undefined: bool = False) -> bytes:
    """An item of a sequence."""
    if undefined:
        return ITEM + UNDEFINED + content + END_OF_ITEM
    return ITEM + struct.pack("<I", len(content)) + content


def dicom(*elements: bytes, sop_class: str = "1.2.840.10008.5.1.4.1.1.9.1.1") -> bytes:
    """A DICOM file of explicit VR little endian: an ECG by its class, and ``elements``."""
    syntax = element(0x00020010, "UI", pydicom.uid.ExplicitVRLittleEndian.encode() + b"\0")
    meta = element(0x00020000, "UL", struct.pack("<I", len(syntax))) + syntax
    uid = sop_class.encode()
    return (
        bytes(128)
        + b"DICM"
        + meta
        + element(0x00080016, "UI", uid + bytes(len(uid) % 2))
        + b"".join(elements)
    )


def cost(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of this thread's time that ``action`` takes, and MB by which the process grows meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = _memory("VmRSS"), time.thread_time()
    action()
    return time.thread_time() - began, _memory("VmHWM") - before


def allocated(action: Callable[[], object]) -> float:
    """MB that Python and numpy hold at most for ``action``, whatever the process kept of earlier work."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024
