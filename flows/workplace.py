"""What every flow needs: settings, database and object store, opened once a run; and its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque
from sqlalchemy import Engine

from flows.discretion import nothing_personal
from stence import database, private
from stence.errors import DatabaseUnavailableError, StoreUnavailableError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings

RETRY_DELAYS_SECONDS = [5, 30, 120]

T = TypeVar("T")
P = ParamSpec("P")


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


def step(name: str, run_name: str | None = None) -> Callable[[Callable[P, T]], Task[P, T]]:
    """Make a function a task that is tried again after outages.

    Nothing that it takes or gives is cached or stored: clinical state lives in Postgres alone.
    """

    def decorate(function: Callable[P, T]) -> Task[P, T]:
        options: dict[str, Any] = {
            "cache_policy": NO_CACHE,
            "persist_result": False,
            "retries": len(RETRY_DELAYS_SECONDS),
            "retry_delay_seconds": RETRY_DELAYS_SECONDS,
            "retry_condition_fn": retriable,
        }
        return task(name=name, task_run_name=run_name or name, **options)(nothing_personal()(function))

    return decorate


def unseen(value: T) -> T:
    """An argument of a task that Prefect neither walks through nor records: connections, models, settings."""
    return cast(T, opaque(value))


def dated(name: str) -> Callable[[], str]:
    """Names a flow run by its flow and the minute it began, in UTC."""
    return lambda: f"{name}-{datetime.now(UTC):%Y-%m-%d-%H%M}"
