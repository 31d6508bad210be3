"""A server as a hospital sets it up, before stence has seen it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from pydantic import SecretStr

from stence.database.embedded import Server
from stence.settings import Settings
from support.database import server_folder


@contextmanager
def bare_server(*commands: str) -> Iterator[Server]:
    """A server on which nobody has made the roles of stence, after these commands of its superuser."""
    with server_folder() as folder:
        server = Server(folder)
        with server.in_use():
            with psycopg.connect(
                host=str(server.socket_folder), user="postgres", autocommit=True
            ) as connection:
                for command in commands:
                    connection.execute(command)
            yield server


def of(server: Server, login: str, name: str) -> Settings:
    """Settings for a database of the server."""
    return Settings(database_url=SecretStr(f"postgresql://{login}@/{name}?host={server.socket_folder}"))
