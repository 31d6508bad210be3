"""Settings, database and object store of a run, opened once, and the decorator of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque
from sqlalchemy import Engine

from stence import database, private
from stence.errors import DatabaseUnavailableError, ReceiverUnavailableError, StoreUnavailableError
from stence.flows.discretion import nothing_personal
from stence.objects import ObjectStore, open_store
from stence.settings import Settings

RETRY_DELAYS_SECONDS = [5, 30, 120]
OUTAGES = (DatabaseUnavailableError, StoreUnavailableError, ReceiverUnavailableError)

T = TypeVar("T")
P = ParamSpec("P")


class Workplace(NamedTuple):
    """The settings, database and object store of a run."""

    settings: Settings
    engine: Engine
    store: ObjectStore


@contextmanager
def open_workplace() -> Iterator[Workplace]:
    """Open database and store of the environment's settings; close both at the end."""
    private.keep_to_ourselves()
    settings = Settings()
    with database.connect(settings) as engine:
        yield Workplace(settings, engine, open_store(settings.resolved_store_url, settings))


def retriable(task: object, run: object, state: Any) -> bool:
    """True for outages, which a retry can overcome; False for wrong settings and bugs."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OUTAGES)


def step(name: str, run_name: str | None = None) -> Callable[[Callable[P, T]], Task[P, T]]:
    """Make a function a task that is retried after outages.

    Arguments and results are neither cached nor stored, because clinical data belong in Postgres only.
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
    """Hide a task's argument from Prefect, which would inspect and record it (connections, models)."""
    return cast(T, opaque(value))


def dated(name: str) -> Callable[[], str]:
    """Name a flow run by its flow and its start (minutes, UTC)."""
    return lambda: f"{name}-{datetime.now(UTC):%Y-%m-%d-%H%M}"
