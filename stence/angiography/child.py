"""Child process that decodes angiograms: ``python -m stence.angiography.child SECONDS MEMORY_BYTES``.

Decoders are native code that reads untrusted bytes. They run here within limits, and only numbers go back to
the parent. stence.angiography.process describes the protocol.
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import signal
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder

from stence.angiography.dicom import View, read_view
from stence.angiography.keyframe import opacification
from stence.angiography.process import KEY_FRAME, READY, REPLY, REQUEST
from stence.angiography.reasons import Reason, UnusableAngiogramError, refuse
from stence.confinement import confine, limit

_PLUGINS: dict[str, str] = {uid.JPEGBaseline8Bit: "pillow", uid.JPEGExtended12Bit: "pillow"}
"""Decoder plugins for transfer syntaxes where pydicom's first choice is not the fastest."""
_TAGS: list[Any] = [
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
]

Facts = dict[str, object]
Arrays = list[NDArray[np.float32]]


def main(seconds: float, memory_bytes: int) -> None:
    """Answer requests on standard input until it closes; it also closes when the parent dies."""
    requests, replies = sys.stdin.buffer, _take_standard_output()
    _warm_up()
    _confine(memory_bytes)
    replies.write(READY)
    replies.flush()
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        index, length = REQUEST.unpack(header)
        _set_alarm(seconds)
        facts, arrays = _answer(requests, index, length)
        text = json.dumps(facts | {"shapes": [array.shape for array in arrays]}).encode()
        replies.write(REPLY.pack(len(text)) + text)
        for array in arrays:
            replies.write(array.data)
        replies.flush()
        signal.alarm(0)
        if facts.get("reason") == Reason.DECODE_MEMORY:
            return


def _answer(requests: BinaryIO, index: int, length: int) -> tuple[Facts, Arrays]:
    try:
        content = requests.read(length)
        return _decoded(content, index)
    except UnusableAngiogramError as error:
        refused = error
    except MemoryError:
        refused = refuse(Reason.DECODE_MEMORY, "decoding takes more memory than it may")
    return {"reason": refused.reason, "detail": refused.detail}, []


def _decoded(content: bytes, index: int) -> tuple[Facts, Arrays]:
    view = read_view(content, whole=True)
    if index >= view.frames:
        return {"frames": view.frames}, []
    curve = np.zeros(0, dtype=np.float32)
    dataset = _with_pixels(content, view)
    try:
        if index == KEY_FRAME:
            curve = opacification(_frames(dataset, view))
            index = int(curve.argmax())
        pixels = _displayed(_grey(_frame(dataset, view, index), dataset, view))
    except (UnusableAngiogramError, MemoryError):
        raise
    except Exception:  # decoders raise any error on broken bytes
        raise refuse(Reason.BROKEN_PIXELS, "the pixels cannot be decoded") from None
    return {"index": index}, [pixels, curve]


def _with_pixels(content: bytes, view: View) -> FileDataset:
    """Read the elements needed for decoding. Raises UnusableAngiogramError if the pixels are truncated."""
    try:
        dataset = pydicom.dcmread(BytesIO(content), specific_tags=_TAGS)
        pixels = dataset.get("PixelData")
    except MemoryError:
        raise
    except Exception:  # the pixels are at fault: read_view has already read everything before them
        raise refuse(Reason.BROKEN_PIXELS, "the pixels cannot be found in the file") from None
    needed = view.frames * view.rows * view.columns * dataset.get("BitsAllocated", 0) // 8
    if not pixels or (not uid.UID(view.transfer_syntax).is_encapsulated and len(pixels) < needed):
        raise refuse(Reason.TRUNCATED, "the file ends within its pixel data")
    if dataset.get("PixelRepresentation"):
        raise refuse(Reason.UNSUPPORTED_PIXELS, "the pixels are signed numbers")
    if view.transfer_syntax == uid.JPEGExtended12Bit and dataset.BitsStored > 8:
        raise refuse(Reason.UNSUPPORTED_PIXELS, "the pixels are JPEG Extended of more than 8 bits")
    return dataset


def _frames(dataset: FileDataset, view: View) -> Iterator[NDArray[np.float32]]:
    """Yield all frames as grey values. Raises UnusableAngiogramError if frames are missing."""
    plugin = _PLUGINS.get(view.transfer_syntax, "")
    decoder = get_decoder(view.transfer_syntax)
    count = 0
    for frame, _ in islice(decoder.iter_array(dataset, raw=True, decoding_plugin=plugin), view.frames):
        yield _grey(frame, dataset, view)
        count += 1
    if count < view.frames:
        raise refuse(Reason.TRUNCATED, f"the file holds {count} of {view.frames} frames")


def _frame(dataset: FileDataset, view: View, index: int) -> NDArray[np.integer]:
    """Decode one frame to its stored values."""
    plugin = _PLUGINS.get(view.transfer_syntax, "")
    decoder = get_decoder(view.transfer_syntax)
    return decoder.as_array(dataset, index=index, raw=True, decoding_plugin=plugin)[0]


def _grey(frame: NDArray[np.integer], dataset: FileDataset, view: View) -> NDArray[np.float32]:
    """Scale stored values to 0 (black, also in MONOCHROME1) to 1."""
    if frame.shape != (view.rows, view.columns):
        raise refuse(Reason.BROKEN_PIXELS, "a frame is of another size than the header says")
    grey = frame.astype(np.float32) / np.float32(2**dataset.BitsStored - 1)
    return 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _displayed(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a frame to 0..1 by its own minimum and maximum."""
    low, high = frame.min(), frame.max()
    if not low < high:
        raise refuse(Reason.BLANK, "the frame is of one grey")
    return np.ascontiguousarray((frame - low) / (high - low), dtype=np.float32)


class _PassOnMemoryError(logging.Handler):
    """Raises a MemoryError that pydicom only logs before it tries the next decoder."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise a logged MemoryError; drop any other record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, MemoryError):
            raise error


def _take_standard_output() -> BinaryIO:
    """Reserve standard output for replies; discard the output of native code."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return replies


def _warm_up() -> None:
    """Import the decoders before the memory limit is set, so that their code does not count."""
    pydicom_log = logging.getLogger("pydicom")
    pydicom_log.addHandler(_PassOnMemoryError())
    pydicom_log.propagate = False
    for syntax in (uid.JPEGBaseline8Bit, uid.JPEGLossless, uid.JPEG2000Lossless, uid.RLELossless):
        get_decoder(syntax)
    opacification([np.eye(64, dtype=np.float32) + 1])


def _confine(memory_bytes: int) -> None:
    """Limit memory growth, forbid writing files, and make the process the OOM killer's first choice."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)
    limit(resource.RLIMIT_FSIZE, 0)
    confine()


def _set_alarm(seconds: float) -> None:
    """Let the kernel end the process if a file takes longer than ``seconds``, in case the parent does not.

    This works even if native code holds Python's lock, or if the parent is dead.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds) + 1)
    signal.alarm(math.ceil(seconds) + 1)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
