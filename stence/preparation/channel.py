"""Messages between a process and its child: length-prefixed bytes over a Unix socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

LENGTH = struct.Struct(">I")
MAX_BYTES = 2**26
"""Longest message. A longer one is no message of ours."""


class Message(NamedTuple):
    """Content of a message, and the file descriptors that came with it."""

    content: bytes
    files: Sequence[int] = ()


def send(channel: socket.socket, content: bytes, files: Sequence[int] = ()) -> None:
    """Send a message, with open files for the other process. Raises OSError if nobody receives."""
    socket.send_fds(channel, [LENGTH.pack(len(content))], files)
    channel.sendall(content)


def receive(channel: socket.socket) -> Message:
    """Receive a message.

    Raises EOFError if the other process has ended, TimeoutError after the channel's timeout, OSError for any
    other fault, and ValueError for a message that is too long.
    """
    header, files, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
    if len(header) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(header)
    if length > MAX_BYTES:
        raise ValueError(length)
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return Message(bytes(content), files)
