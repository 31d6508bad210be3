"""Nothing personal in Prefect: of the library's log lines and errors, what may stand in its database.

Object keys can hold patients' names, and so can anything that was read from a file. Prefect stores every line
of a run's log, and of an exception that ends a task or flow its message and the messages of its causes. So:

- of a log line the constant text passes, and of its arguments numbers, counts by name and members of enums
  (ruff's G004 refuses lines that are put together beforehand);
- of StenceError the message passes, which names no object (its ``object_key`` does); of any other exception
  only type and place do. The causes never pass. What is held back goes to the process's own log.
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
log = logging.getLogger("flows")


class UnexpectedError(Exception):
    """An error that is not stence's own; its message tells type and place, the process's log all of it."""


@contextmanager
def library_logs() -> Iterator[None]:
    """Show the library's log lines in the flow run's log, and there only, by the rules of this module."""
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
    """Let exceptions pass without what may be personal in them."""
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
        raise UnexpectedError(f"{text}; the log of the process that ran it tells more") from None


def discreet(record: logging.LogRecord) -> str:
    """The text of a log record without what may be personal in its arguments."""
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
