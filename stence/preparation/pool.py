"""Several preparing processes at work on one job."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from stence.preparation.job import Job, Reply, Request
from stence.preparation.supervisor import IN_FLIGHT, Supervisor, Task


class Pool:
    """Up to ``processes`` processes for one job, with a thread for each.

    ``file`` is the shared memory of the windows. ECGs of a process that ends are not lost; see Supervisor.
    """

    def __init__(self, job: Job, file: int, processes: int) -> None:
        self._job, self._file, self._processes = job, file, processes
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._supervisors: list[Supervisor] = []
        self._threads: list[threading.Thread] = []

    def submit(self, requests: Sequence[Request]) -> Future[Reply]:
        """Have ECGs prepared together. Processes start as they are needed: a few ECGs are worth one."""
        task = Task(requests, Future())
        self._tasks.put(task)
        is_piling_up = not self._threads or self._tasks.qsize() >= IN_FLIGHT
        if is_piling_up and len(self._threads) < self._processes:
            self._add_process()
        return task.future

    def close(self) -> None:
        """Wait for all answers, and keep the processes for the next job."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """End the processes at once. Answers may never come, and no row is written any more."""
        for supervisor in self._supervisors:
            supervisor.stop()
        self.close()

    def _add_process(self) -> None:
        supervisor = Supervisor(self._job, self._file)
        thread = threading.Thread(target=supervisor.serve, args=(self._tasks,), name="prepare", daemon=True)
        self._supervisors.append(supervisor)
        self._threads.append(thread)
        thread.start()
