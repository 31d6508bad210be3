"""Retry an action during an outage, instead of failing at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from stence.errors import StenceError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0


def retry(action: Callable[[], T], seconds: float, outage: type[StenceError]) -> T:
    """Call ``action``, and retry it with exponential backoff while it raises ``outage``, for ``seconds``.

    ``action`` must be idempotent. Raises the last ``outage`` after ``seconds``, and any other exception at
    once.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except outage as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            log.warning("Trying again for %.0f s: %s", left, error)
        time.sleep(min(pause, max(left, 0.0)))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
