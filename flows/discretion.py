"""No personal data in Prefect: filter for the library's log lines and errors.

Object keys and contents of files can hold patients' names. Prefect stores every line of a run's log. It also
stores the message of an exception that ends a task or flow, and the messages of its causes. Therefore:

- Log lines: the constant text passes. Of the arguments, numbers, counts by name and members of enums pass.
  (Ruff's rule G004 refuses lines that are formatted beforehand.)
- StenceError: the message passes. It names no object; ``object_key`` does.
- Other exceptions: type and place pass.
- Causes never pass. The process's own log holds everything that is filtered out.
"""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from numbers import Number
from pathlib import Path
from typing import Any

from prefect.logging import get_run_logger

from stence.errors import StenceError

HELD_BACK = "(…)"
log = logging.getLogger("stence_flows")
"""Beside ``stence``, whose lines go to Prefect: these hold what must not."""


class UnexpectedError(Exception):
    """An error that is not stence's own. The message has type and place, the process's log has the rest."""


@contextmanager
def library_logs() -> Iterator[None]:
    """Send the library's log lines to the flow run's log only, filtered by this module."""
    run_logger = get_run_logger()

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            run_logger.log(record.levelno, discreet(record))

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
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        raise UnexpectedError(f"{text}; the log of the run's process has the details") from None


def discreet(record: logging.LogRecord) -> str:
    """The text of a log record, without personal data in its arguments."""
    if not record.args:
        return record.msg if isinstance(record.msg, str) else HELD_BACK
    if isinstance(record.args, Mapping):
        return str(record.msg) % _shown(record.args)
    return str(record.msg) % tuple(map(_shown, record.args))


def _shown(argument: object) -> Any:
    match argument:
        case None | Number() | uuid.UUID():
            return argument
        case Enum():
            return argument.value
        case Mapping():
            return {name: _shown(value) for name, value in argument.items()}
        case BaseException():
            return type(argument).__name__
    return HELD_BACK
