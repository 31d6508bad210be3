"""What every flow needs: the settings, the database and the object store, opened once a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, cast

from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.utilities.annotations import opaque
from sqlalchemy import Engine

from stence import database, private
from stence.errors import DatabaseUnavailableError, StoreUnavailableError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings

RETRY_DELAYS_SECONDS = [5, 30, 120]

T = TypeVar("T")


class Workplace(NamedTuple):
    """The settings and the two places a run reads from and writes to."""

    settings: Settings
    engine: Engine
    store: ObjectStore


@contextmanager
def open_workplace() -> Iterator[Workplace]:
    """Open database and store from the environment's settings; close both at the end."""
    private.keep_to_ourselves()
    settings = Settings()
    with database.connect(settings) as engine:
        yield Workplace(settings, engine, open_store(settings.resolved_store_url, settings))


def retriable(task: object, run: object, state: Any) -> bool:
    """Whether a failed task is worth another try: outages are, bad settings and bugs are not."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, DatabaseUnavailableError | StoreUnavailableError)


# Nothing a task takes or gives is cached or stored: clinical state lives in Postgres alone.
TASK_OPTIONS: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": len(RETRY_DELAYS_SECONDS),
    "retry_delay_seconds": RETRY_DELAYS_SECONDS,
    "retry_condition_fn": retriable,
}


def unseen(value: T) -> T:
    """An argument of a task that Prefect neither walks through nor records: connections, models, settings."""
    return cast(T, opaque(value))


def dated(name: str) -> Callable[[], str]:
    """Names a flow run by its flow and the minute it began, in UTC."""
    return lambda: f"{name}-{datetime.now(UTC):%Y-%m-%d-%H%M}"


@contextmanager
def library_logs() -> Iterator[None]:
    """Show the library's own log lines in the flow run's log, and there only."""
    run_logger = get_run_logger()

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            run_logger.log(record.levelno, record.getMessage())

    library, relay = logging.getLogger("stence"), Relay(logging.INFO)
    before = library.level, library.propagate
    library.addHandler(relay)
    library.setLevel(min(logging.INFO, library.getEffectiveLevel()))
    library.propagate = False
    try:
        yield
    finally:
        library.removeHandler(relay)
        library.setLevel(before[0])
        library.propagate = before[1]
