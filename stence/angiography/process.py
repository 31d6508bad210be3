"""The decoding child process, seen from the parent: its start, the protocol, its end.

A request is REQUEST and a file. A reply is REPLY, JSON, and float32 arrays with the shapes in the JSON. A
child under control of a hostile file cannot attack the parent with such a reply.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import subprocess
import sys
import time
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stence.errors import StenceError

REQUEST = struct.Struct(">qQ")
"""Index of the frame, or KEY_FRAME; length of the file that follows."""
REPLY = struct.Struct(">I")
"""Length of the JSON that follows."""
KEY_FRAME = -1
READY = b"\0"
"""Message of a child that is ready for requests."""

_START_SECONDS = 60
_MAX_TEXT_BYTES = 4096
_MAX_ARRAY_BYTES = 2**27
_CHUNK = 2**20
_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "HOME", "LANG", "TMPDIR")

Answer = tuple[dict[str, Any], list[NDArray[np.float32]]]


class ProcessDiedError(Exception):
    """The child has ended, or sent an invalid reply; ``status`` is its exit status, None if it is invalid."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class DecodingProcess:
    """One child process. It ends with the parent, whose end closes its input; an alarm ends a hanging child.

    The child gets no credentials from the environment. Raises StenceError if it does not start.
    """

    def __init__(self, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        arguments = ["-P", "-m", "stence.angiography.child", str(seconds), str(memory_bytes)]
        self._process = subprocess.Popen(  # noqa: S603 -- this very interpreter
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
        )
        self._requests, self._replies = _pipe(self._process.stdin), _pipe(self._process.stdout)
        os.set_blocking(self._requests, False)
        self._deadline = time.monotonic() + _START_SECONDS
        try:
            self._receive(len(READY))
        except (ProcessDiedError, TimeoutError):
            self.end()
            command = " ".join(["python", *arguments])
            raise StenceError(f"angiograms cannot be decoded: `{command}` does not start") from None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """True if the child can take another request."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the child and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def ask(self, index: int, content: bytes) -> Answer:
        """Request frame ``index`` of a file. Return facts and arrays.

        Raises TimeoutError, or ProcessDiedError; then the child must be ended and not used again.
        """
        self._deadline = time.monotonic() + self._seconds
        if self._send(REQUEST.pack(index, len(content))):
            self._send(content)
        (length,) = REPLY.unpack(self._receive(REPLY.size))
        if length > _MAX_TEXT_BYTES:
            raise ProcessDiedError(None)
        try:
            facts = json.loads(self._receive(length))
            shapes = [tuple(int(size) for size in shape) for shape in facts["shapes"]]
        except (ValueError, TypeError, KeyError):
            raise ProcessDiedError(None) from None
        return facts, [self._receive_array(shape) for shape in shapes]

    def _send(self, data: bytes) -> bool:
        """Send the data. Return False if the child answers before it has read all, or dies."""
        rest = memoryview(data)
        while rest:
            ready = self._wait((self._requests, select.POLLOUT), (self._replies, select.POLLIN))
            if self._replies in ready:
                return False
            try:
                rest = rest[os.write(self._requests, rest[:_CHUNK]) :]
            except BrokenPipeError:
                return False
        return True

    def _receive_array(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        size = 4 * math.prod(shape)
        if not 0 <= size <= _MAX_ARRAY_BYTES:
            raise ProcessDiedError(None)
        return np.frombuffer(self._receive(size), dtype=np.float32).reshape(shape)

    def _receive(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            self._wait((self._replies, select.POLLIN))
            part = os.read(self._replies, min(size - len(data), _CHUNK))
            if not part:
                raise ProcessDiedError(self._status())
            data += part
        return data

    def _wait(self, *watched: tuple[int, int]) -> list[int]:
        """Return the watched pipes that are ready. Raises TimeoutError at the deadline."""
        poll = select.poll()  # unlike select.select, it has no limit on open files
        for pipe, event in watched:
            poll.register(pipe, event)
        ready = poll.poll(1000 * max(0.0, self._deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        return [pipe for pipe, _ in ready]

    def _status(self) -> int:
        try:
            return self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None


def _pipe(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise StenceError("the process that decodes angiograms has no pipe")
    return pipe.fileno()
