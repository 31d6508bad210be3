"""Decode key frames of untrusted files in a child process within limits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stence.angiography.process import KEY_FRAME, Answer, DecodingProcess, ProcessDiedError
from stence.angiography.reasons import Reason, UnusableAngiogramError, refuse
from stence.dependencies import require


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """The frame of a run with the most contrast-filled vessel."""

    index: int
    pixels: NDArray[np.float32]
    """(rows, columns) in 0..1, scaled by its own minimum and maximum, vessels dark."""
    opacification: NDArray[np.float32]
    """Amount of contrast-filled vessel per frame (frames,)."""


class Decoder:
    """Decodes angiograms in a child process, which starts with the first file and is reused.

    If a file crashes, hangs or exhausts the child, only that file fails; the next file gets a new child.
    ``seconds`` (wall clock) and ``memory_bytes`` (above the idle child) are limits for one file; the file
    itself takes up to three times its size. Used by one thread at a time; other threads wait.
    Raises ConfigurationError without the extra ``training``: files would be refused that are sound.
    """

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        require("training", "Decoding angiograms")
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._child: DecodingProcess | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end_child()

    def key_frame(self, content: bytes) -> KeyFrame:
        """Find and decode the key frame of a file's bytes. Raises UnusableAngiogramError."""
        return self._decode(KEY_FRAME, content)

    def frame(self, content: bytes, index: int) -> NDArray[np.float32]:
        """Decode frame ``index`` (rows, columns), as KeyFrame.pixels.

        Raises UnusableAngiogramError, and IndexError if the run has no such frame.
        """
        if index < 0:
            raise IndexError(f"frames are counted from 0, not from {index}")
        return self._decode(index, content).pixels

    def _decode(self, index: int, content: bytes) -> KeyFrame:
        with self._lock:
            facts, arrays = self._answer(index, content)
            if facts.get("reason") == Reason.DECODE_MEMORY:  # the child may not have read the whole file
                self._end_child()
            try:
                return _understood(facts, arrays)
            except (KeyError, ValueError, TypeError):
                self._end_child()
                raise _refused(None) from None

    def _answer(self, index: int, content: bytes) -> Answer:
        """Ask the present child. If it dies, ask a new one: an earlier file may have damaged the old one."""
        used = self._child is not None
        try:
            return self._ask(index, content)
        except ProcessDiedError as error:
            if not used or _stopped(error.status):
                raise _refused(error.status) from None
        try:
            return self._ask(index, content)
        except ProcessDiedError as error:
            raise _refused(error.status) from None

    def _ask(self, index: int, content: bytes) -> Answer:
        """Ask the child, started if necessary; end it on any exception."""
        if self._child is None or not self._child.is_alive():
            self._end_child()
            self._child = DecodingProcess(self._seconds, self._memory_bytes)
        try:
            return self._child.ask(index, content)
        except TimeoutError:
            self._end_child()
            raise refuse(Reason.DECODE_TIMEOUT, f"decoding takes longer than {self._seconds:g} s") from None
        except BaseException:
            self._end_child()
            raise

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _understood(facts: Mapping[str, Any], arrays: Sequence[NDArray[np.float32]]) -> KeyFrame:
    """Validate a child's reply; an invalid one raises KeyError, ValueError or TypeError."""
    if "reason" in facts:
        raise UnusableAngiogramError(Reason(facts["reason"]), str(facts["detail"]))
    if "frames" in facts:
        raise IndexError(f"the run has {int(facts['frames'])} frames")
    pixels, opacification = arrays
    if (pixels.ndim, opacification.ndim) != (2, 1):
        raise ValueError
    return KeyFrame(int(facts["index"]), pixels, opacification)


def _stopped(status: int | None) -> bool:
    """True if the kernel ended the child at its time limit."""
    return status in (-signal.SIGXCPU, -signal.SIGALRM)


def _refused(status: int | None) -> UnusableAngiogramError:
    """Return the error for a file whose decoding ended the child with ``status``."""
    if _stopped(status):
        return refuse(Reason.DECODE_TIMEOUT, "decoding takes too much time")
    if status == -signal.SIGKILL:
        return refuse(Reason.DECODE_MEMORY, "the machine ran out of memory while decoding")
    return refuse(Reason.DECODER_DIED, "decoding crashes the decoder")
