"""Serve the deployments of ``prefect.yaml`` from this process, and end their runs before it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import yaml
from prefect.runner import Runner

import flows
from stence.resources import deployments_folder

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

STOPS = (signal.SIGINT, signal.SIGTERM)
CHECK_SECONDS = 0.5
END_SECONDS = 60
"""So long runs may take to end before they are killed."""


def serve(deployments: list[RunnerDeployment], server_lives: Callable[[], bool]) -> bool:
    """Run what is due until SIGINT or SIGTERM comes, which gives True, or the server is gone.

    No run is left when this returns.
    """
    os.environ[flows.SUPERVISOR] = str(os.getpid())
    with _stop_signals() as stopped:
        asyncio.run(_serve(deployments, stopped, server_lives))
        return stopped()


class _Runner(Runner):
    """Prefect's Runner, but for its handler of SIGTERM, which would tear its event loop down amid a run."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Leave the signal to ``serve``, whose handler this one replaces."""
        os.kill(os.getpid(), signal.SIGINT)


async def _serve(
    deployments: list[RunnerDeployment], stopped: Callable[[], bool], server_lives: Callable[[], bool]
) -> None:
    # Schedules outlive this process: the next `stence up` goes on with them.
    runner = _Runner(pause_on_shutdown=False)
    for each in deployments:
        await runner.aadd_deployment(each)
    serving = asyncio.create_task(runner.start())
    while server_lives() and not (stopped() or serving.done()):
        await asyncio.wait([serving], timeout=CHECK_SECONDS)
    if server_lives():
        await _cancel_runs(runner, serving)
    serving.cancel()  # kills the processes of those that are left
    with suppress(asyncio.CancelledError):
        await serving


async def _cancel_runs(runner: Runner, serving: asyncio.Task[None]) -> None:
    """Cancel the runs, also those that were just being started, and wait for their processes to be gone."""
    with suppress(asyncio.TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            if runner.started:
                await runner.astop()
            while not serving.done():
                await runner.cancel_all()
                await asyncio.wait([serving], timeout=CHECK_SECONDS)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield whether one of STOPS has come; a terminal's Ctrl-C goes to all processes, and is for this one.

    A process inherits the signals that the thread which starts it has blocked: runs see SIGTERM alone.
    """
    came: list[int] = []
    handlers = {each: signal.signal(each, lambda number, _: came.append(number)) for each in STOPS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield lambda: bool(came) or signal.SIGINT in signal.sigpending()
    finally:
        if signal.SIGINT in signal.sigpending():
            signal.sigwait([signal.SIGINT])
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for each, handler in handlers.items():
            signal.signal(each, handler)


def described_deployments() -> list[RunnerDeployment]:
    """The deployments that ``deployments/prefect.yaml`` lists."""
    described = yaml.safe_load((deployments_folder() / "prefect.yaml").read_text(encoding="utf-8"))
    return [deployment(entry) for entry in described["deployments"]]


def deployment(entry: dict[str, Any]) -> RunnerDeployment:
    """Make a deployment of Prefect's Runner from one entry of ``prefect.yaml``."""
    from importlib import import_module

    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    path, function = entry["entrypoint"].split(":")
    flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), function)
    return flow.to_deployment(
        name=entry["name"],
        description=entry["description"],
        tags=entry["tags"],
        parameters=entry["parameters"],
        schedules=[Cron(s["cron"], timezone=s["timezone"]) for s in entry["schedules"]],
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
