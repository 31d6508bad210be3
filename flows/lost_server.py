"""A Prefect server that is gone, told in one line by each part of Prefect's client that notices.

Prefect logs such an error with a traceback through many loggers, and asyncio the cancellation of what waited
for the server. Neither is a fault of the code that is named there.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

LOGGERS = ("prefect", "asyncio")
CLIENTS = ("httpx", "httpcore", "websockets")
"""Packages that Prefect's client talks to its server with, whose errors are those of the connection."""


def tell_in_one_line() -> None:
    """Make records of Prefect and asyncio without a traceback where the connection to the server was lost."""
    logging.setLogRecordFactory(_without_traceback(logging.getLogRecordFactory()))


def _without_traceback(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def made(
        name: str, level: int, path: str, line: int, text: object, values: Any, exc_info: Any, *rest: Any,
        **named: Any,
    ) -> logging.LogRecord:  # fmt: skip
        error = exc_info[1] if exc_info else None
        if error is not None and name.partition(".")[0] in LOGGERS and _is_of_connection(error):
            text, exc_info = f"{text} ({type(error).__name__})", None
        return make(name, level, path, line, text, values, exc_info, *rest, **named)

    return made


def _is_of_connection(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    return package in CLIENTS or isinstance(error, ConnectionError | CancelledError)
