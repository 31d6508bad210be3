"""A real PgBouncer before the tests' Postgres."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from stence.database import account
from support.ports import free_port

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer (apt-get install pgbouncer)")

CONFIGURATION = """
[databases]
* = host='{host}' user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = {mode}
server_round_robin = {round_robin}
default_pool_size = {pool_size}
unix_socket_dir =
"""


@contextmanager
def pooled(
    url: SecretStr, mode: str, pool_size: int = 20, *, round_robin: bool = False
) -> Iterator[SecretStr]:
    """The URL of the same database through PgBouncer, which runs as the account that reaches Postgres."""
    target = make_url(url.get_secret_value())
    port = free_port()
    owner = account.server_account()
    with TemporaryDirectory(prefix="stence-pool-") as folder:
        path = f"{folder}/pgbouncer.ini"
        with open(path, "w") as file:
            file.write(
                CONFIGURATION.format(
                    host=target.query["host"],
                    port=port,
                    mode=mode,
                    pool_size=pool_size,
                    round_robin=int(round_robin),
                )
            )
        if owner is not None:
            for place in (folder, path):
                shutil.chown(place, owner.pw_uid, owner.pw_gid)
        identity = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        assert PROGRAM is not None
        with subprocess.Popen([PROGRAM, "-q", path], stderr=subprocess.DEVNULL, **identity) as process:
            through = target.set(host="127.0.0.1", port=port, username="postgres", query={})
            rendered = through.render_as_string(hide_password=False)
            try:
                _wait(rendered, process)
                yield SecretStr(rendered)
            finally:
                process.kill()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, "PgBouncer ended"
            assert time.monotonic() < deadline, "PgBouncer did not answer"
            time.sleep(0.05)
