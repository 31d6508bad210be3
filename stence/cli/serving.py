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

from stence import flows
from stence.resources import deployments_folder

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

STOPS = (signal.SIGINT, signal.SIGTERM)
CHECK_SECONDS, QUIET_CHECKS = 0.5, 2
END_SECONDS = 60
"""Time that runs have to end before they are killed."""


def serve(deployments: list[RunnerDeployment], server_lives: Callable[[], bool]) -> bool:
    """Run due deployments until SIGINT or SIGTERM (returns True), or until the server is gone.

    No run is left when this returns.
    """
    os.environ[flows.SUPERVISOR] = str(os.getpid())
    with _stop_signals() as stopped:
        asyncio.run(_serve(deployments, stopped, server_lives))
        return stopped()


class _Runner(Runner):
    """Prefect's Runner, which closes its runs before it ends, and leaves SIGTERM to ``serve``.

    Prefect's own handler stops the event loop from within a signal. It forgets runs whose process is just
    being started.
    """

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Leave the signal to the handler of ``serve``, which this method replaces."""
        os.kill(os.getpid(), signal.SIGINT)

    async def cancel_runs(self) -> None:
        """Start no more runs, cancel open runs, and return after a while without open runs."""
        poller = self._scheduled_run_poller
        poller.stopping = True
        quiet = 0
        while quiet < QUIET_CHECKS:
            await self.cancel_all()
            await asyncio.sleep(CHECK_SECONDS)
            quiet = 0 if poller._submitting_flow_run_ids else quiet + 1


async def _serve(
    deployments: list[RunnerDeployment], stopped: Callable[[], bool], server_lives: Callable[[], bool]
) -> None:
    # Schedules stay active after this process: the next `stence up` uses them.
    runner = _Runner(pause_on_shutdown=False)
    for each in deployments:
        await runner.aadd_deployment(each)
    serving = asyncio.create_task(runner.start())
    while server_lives() and not (stopped() or serving.done()):
        await asyncio.wait([serving], timeout=CHECK_SECONDS)
    if server_lives() and runner.started:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(runner.cancel_runs(), END_SECONDS)
        await runner.astop()
        await asyncio.wait([serving], timeout=END_SECONDS)
    serving.cancel()  # kills the processes of remaining runs
    with suppress(asyncio.CancelledError):
        await serving


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True after one of STOPS.

    Ctrl-C at a terminal reaches all processes, but only this process must react. A child process inherits the
    blocked signals of the thread that starts it. Runs therefore see SIGTERM only.
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
    """The deployments of ``deployments/prefect.yaml``."""
    described = yaml.safe_load((deployments_folder() / "prefect.yaml").read_text(encoding="utf-8"))
    return [deployment(entry) for entry in described["deployments"]]


def deployment(entry: dict[str, Any]) -> RunnerDeployment:
    """Create a deployment of Prefect's Runner from an entry of ``prefect.yaml``."""
    from importlib import import_module

    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    module, _, function = entry["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), function)
    return flow.to_deployment(
        name=entry["name"],
        description=entry["description"],
        tags=entry["tags"],
        parameters=entry["parameters"],
        schedules=[Cron(s["cron"], timezone=s["timezone"]) for s in entry["schedules"]],
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
