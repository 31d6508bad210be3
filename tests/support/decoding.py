"""What decoding a file comes to: an outcome, or a failure that no file may cause."""

from __future__ import annotations

import math
import resource
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stence import ecg
from stence.ecg import Reason, Recording, UnusableEcgError

MAX_SECONDS = 1.0
"""Time of this thread for one file."""
MAX_BYTES = 2**30
"""Memory that one file may add to the process."""


class FailureError(AssertionError):
    """A file did what no file may do."""


def outcome(name: str, files: Mapping[str, bytes]) -> str:
    """Decode an ECG within the limits. Return "read", or the reason to refuse it.

    Raises FailureError for another exception than UnusableEcgError, too much time or memory, and an unsound
    recording.
    """
    began = time.thread_time()
    try:
        with _limited_memory():
            ended = _outcome(name, files)
    except (Exception, RecursionError) as error:
        raise FailureError(f"{type(error).__name__} at {place(error)}") from error
    if ended == Reason.DECODE_MEMORY:
        raise FailureError("it takes too much memory")
    if (took := time.thread_time() - began) > MAX_SECONDS:
        raise FailureError(f"it takes {took:.1f} s")
    return ended


def place(error: BaseException) -> str:
    """Return module and line of the last frame in this project."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/stence/" in frame.filename]
    return f"{Path(frames[-1].filename).stem}:{frames[-1].lineno}" if frames else "?"


def _outcome(name: str, files: Mapping[str, bytes]) -> str:
    try:
        recording = ecg.decode(name, files)
    except UnusableEcgError as error:
        return _refusal(error)
    _check_sound(recording)
    return "read"


def _refusal(error: UnusableEcgError) -> str:
    """Return the reason. An exception that no reader foresaw is named with its place."""
    cause = error.__cause__
    return str(error.finding.reason) if cause is None else f"{type(cause).__name__} at {place(cause)}"


def _check_sound(recording: Recording) -> None:
    assert recording.signal.shape[0] == 12
    assert recording.signal.shape[1] > 0
    assert recording.signal.dtype == np.float32
    assert math.isfinite(recording.sampling_rate)
    assert recording.sampling_rate > 0


@contextmanager
def _limited_memory() -> Iterator[None]:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
