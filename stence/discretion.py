"""Logs and tracebacks without identifiers of patients and without credentials.

Keys of objects and contents of files can hold patients' names, and so can texts of exceptions. Therefore, of
every log record, uncaught exception and warning of the process:

- Log lines: the constant text passes. Of the arguments, numbers, counts by name, members of enums, and texts
  marked as ``plain`` pass. (Ruff's rule G004 refuses lines that are formatted beforehand.) Objects are named
  in Postgres: ``stence query quarantine_open``, ``stence query unusable_rows``.
- Lines of other libraries that are formatted beforehand: the place in the code passes. Lines of Prefect and
  its server pass, because they hear of nothing but names that stence gives.
- StenceError: the message passes. It names no object; ``object_key`` does.
- Other exceptions: type, error code and the traceback's lines of code pass; never texts or local variables.
- Credentials in what passes are masked: secrets of the settings, and passwords in URLs.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from numbers import Number
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from stence.errors import StenceError

HELD_BACK = "(…)"
MASK = "***"
OURS = {"stence", "stence_flows"}
OPEN = {"prefect", "uvicorn", "asyncio"}
"""Packages whose formatted log lines pass: Prefect, its server, and the event loop that only Prefect uses."""
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|AUTH_STRING|ACCESS_KEY|API_KEY")
SECRET_CHARACTERS = 8
"""Shorter secrets may be words; masking them would damage every line."""
IN_URL = re.compile(r"(://[^\s/:@]{0,256}:)[^\s@]{1,256}@")
NAMED = re.compile(r"(?i)\b(bearer |(?:password|secret|token|signature|access_?key)=)[^\s&'\"]{1,512}")
MAX_CHARACTERS = 2**16
MAX_CAUSES = 10

_secrets: set[str] = set()


class Plain(str):
    """A text for a log that nothing read from a file, object or person is part of."""

    __slots__ = ()


def plain(value: object) -> Plain:
    """Mark a text as free of identifiers: a version, setting, folder of stence, or text of its own."""
    return Plain(value)


def hide(secret: str) -> None:
    """Mask this secret from now on; of a URL or ``user:password``, the password alone too."""
    password = urlsplit(secret).password if "://" in secret else secret.rpartition(":")[2]
    found = {secret, password or "", unquote(password or "")}
    _secrets.update(each for each in found if len(each) >= SECRET_CHARACTERS)


def masked(text: str) -> str:
    """Return a text without the secrets of this process and passwords in URLs."""
    text = text[:MAX_CHARACTERS]
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return NAMED.sub(rf"\1{MASK}", IN_URL.sub(rf"\1{MASK}@", text))


def install() -> None:
    """Filter log records, uncaught exceptions and warnings of this process. Later calls change nothing."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name):
            hide(value)
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _DiscreetRecords):
        logging.setLogRecordFactory(_DiscreetRecords(factory))
        sys.excepthook = _tell_uncaught
        threading.excepthook = _tell_uncaught_of_thread
        warnings.showwarning = _tell_warning


class _DiscreetRecords:
    """Makes log records that are filtered before any handler or formatter sees them."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self._make(*arguments, **named)
        record.msg, record.args = masked(discreet(record)), None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = masked(described(record.exc_info[1]))
        record.exc_info = None
        return record


def discreet(record: logging.LogRecord) -> str:
    """Return the text of a log record without what may be personal."""
    package = str(record.name).partition(".")[0]
    if package in OPEN:
        return _formatted(record, _open)
    if not record.args and package not in OURS:
        return _place(record)
    if not record.args:
        return record.msg if isinstance(record.msg, str) else HELD_BACK
    return _formatted(record, _shown)


def described(error: BaseException) -> str:
    """Return the traceback of an exception and its causes: lines of code, types, and texts that may pass."""
    return "\n\nwhich led to:\n\n".join(map(_with_place, reversed([*_chain(error)])))


def placed(error: BaseException) -> str:
    """Return the type of an error and the line of code that raised it: what may stand of a foreign one."""
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, Exception) else []  # no Ctrl-C
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _with_place(error: BaseException) -> str:
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{lines}{_said(error)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and its causes, as far as a traceback shows them."""
    following: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if following is None:
            return
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _said(error: BaseException) -> str:
    """Return the type of an error, with its text if it is stence's own, or else with its code."""
    name = type(error).__name__
    if isinstance(error, StenceError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {os.strerror(error.errno)}"
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return f"{name}: SQLSTATE {state}" if state else name


def _formatted(record: logging.LogRecord, shown: Callable[[object], Any]) -> str:
    if not record.args:
        return str(shown(record.msg))
    try:
        if isinstance(record.args, Mapping):
            return str(record.msg) % {name: shown(value) for name, value in record.args.items()}
        return str(record.msg) % tuple(map(shown, record.args))
    except (TypeError, ValueError, KeyError):  # a line that cannot be formatted must not fail who logs it
        return _place(record)


def _place(record: logging.LogRecord) -> str:
    return f"{HELD_BACK} at {Path(record.pathname).name}:{record.lineno}"


def _open(argument: object) -> Any:
    return _said(argument) if isinstance(argument, BaseException) else argument


def _shown(argument: object) -> Any:
    match argument:
        case None | Number() | uuid.UUID() | Plain():
            return argument
        case Enum():
            return argument.value
        case Mapping():
            return {name: _shown(value) for name, value in argument.items()}
        case StenceError():
            return str(argument)
        case BaseException():
            return type(argument).__name__
    return HELD_BACK


def _tell_uncaught(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, place)
    else:
        sys.stderr.write(f"{masked(described(error))}\n")


def _tell_uncaught_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
        _tell_uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _tell_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    place = f"{Path(filename).name}:{lineno}"
    logging.getLogger("stence").info("%s at %s", plain(category.__name__), plain(place))
