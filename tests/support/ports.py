"""Ports to listen on."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress

LISTENED_ON = range(20_000, 32_000)
"""Below the ports that systems give to connections: one of those may be taken at any moment."""

_choose = random.Random(os.getpid())  # two test processes begin at different ones


def free_port() -> int:
    """A port that nothing listens on."""
    while True:
        port = _choose.choice(LISTENED_ON)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
