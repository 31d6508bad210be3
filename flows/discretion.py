"""No personal data in Prefect: log lines and errors of the library, as ``stence.discretion`` lets them pass.

Prefect stores every line of a run's log. It also stores the message of an exception that ends a task or flow,
and the messages of its causes. Causes therefore never pass; the log of the process has their lines of code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging import get_run_logger

from stence.discretion import discreet, masked, placed
from stence.errors import StenceError

log = logging.getLogger("stence_flows")
"""Beside ``stence``, whose lines go to Prefect: these hold what must not."""


class UnexpectedError(Exception):
    """An error that is not stence's own. The message has type and place."""


@contextmanager
def library_logs() -> Iterator[None]:
    """Send the library's log lines to the flow run's log only, filtered by this module."""
    run_logger = get_run_logger()

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            run_logger.log(record.levelno, "%s", masked(discreet(record)))

    library, relay = logging.getLogger("stence"), Relay(logging.INFO)
    before = library.level, library.propagate
    library.addHandler(relay)
    library.setLevel(min(logging.INFO, library.getEffectiveLevel()))
    library.propagate = False
    try:
        with nothing_personal():
            yield
    finally:
        library.removeHandler(relay)
        library.setLevel(before[0])
        library.propagate = before[1]


@contextmanager
def nothing_personal() -> Iterator[None]:
    """Remove personal data from exceptions that pass."""
    try:
        yield
    except (StenceError, UnexpectedError) as error:
        if error.__cause__ or error.__context__:
            log.debug("caused by", exc_info=error)
        error.__cause__ = error.__context__ = None
        raise
    except Exception as error:
        log.error("unexpected error", exc_info=error)
        raise UnexpectedError(
            f"{placed(error)}; the log of the run's process has the lines of code"
        ) from None
