"""Postgres and S3 through TLS, with certificates of the hospital's own authority; another one is refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from stence import database
from stence.database.embedded import SOCKET_NAME
from stence.database.engine import _asyncpg_url
from stence.errors import ConfigurationError, DatabaseUnavailableError
from stence.objects import open_store
from stence.settings import Settings
from support.tls import ADDRESS, Authority, behind_tls


def authority(folder: Path) -> Authority:
    folder.mkdir(parents=True)
    return Authority(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "another")


@pytest.fixture(scope="module")
def port(postgres: Engine, ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Postgres that answers through TLS only. The embedded one is built without it."""
    address = f"{postgres.url.query['host']}/{SOCKET_NAME}"

    def connect() -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(address)
        return server

    with behind_tls(connect, *ours.issue(tmp_path_factory.mktemp("issued")), postgres=True) as port:
        yield port


def url(port: int, ca: Path, mode: str = "verify-full") -> SecretStr:
    options = f"sslmode={mode}&sslrootcert={quote(str(ca))}"
    return SecretStr(f"postgresql://postgres@{ADDRESS}:{port}/postgres?{options}")


def test_postgres_is_reached_through_tls_and_so_is_the_database_of_prefect(
    port: int, ours: Authority, another: Authority
) -> None:
    with database.connect(Settings(database_url=url(port, ours.ca))) as engine:
        for_prefect = database.create_database(engine, "prefect_through_tls")
        engine.dispose()
        refused = engine.url.update_query_dict({"sslrootcert": str(another.ca)})
    assert asyncio.run(one(for_prefect)) == 1
    with pytest.raises(OSError, match="certificate verify failed"):
        asyncio.run(one(_asyncpg_url(refused)))


async def one(for_prefect: str) -> Any:
    engine = create_async_engine(for_prefect)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text("SELECT 1"))
    finally:
        await engine.dispose()


def test_a_postgres_of_another_authority_is_refused(port: int, another: Authority) -> None:
    with (
        pytest.raises(DatabaseUnavailableError, match="certificate verify failed"),
        database.connect(Settings(database_url=url(port, another.ca))),
    ):
        pass


@pytest.mark.shared
@pytest.mark.slow
def test_s3_is_reached_through_tls_and_another_authority_is_refused(
    s3_settings: dict[str, Any], ours: Authority, another: Authority, tmp_path: Path
) -> None:
    inner = urlsplit(s3_settings["s3_endpoint_url"])
    with behind_tls(
        lambda: socket.create_connection((inner.hostname, inner.port)), *ours.issue(tmp_path)
    ) as port:
        given = s3_settings | {"s3_endpoint_url": f"https://{ADDRESS}:{port}"}
        trusting = Settings(**given, s3_ca_file=ours.ca)
        store = open_store(trusting.resolved_store_url, trusting)
        store.put("ecg/1.hea", b"an ECG")
        assert store.get("ecg/1.hea") == b"an ECG"
        for settings in (Settings(**given, s3_ca_file=another.ca), Settings(**given)):
            with pytest.raises(ConfigurationError, match="not trusted here: set STENCE_S3_CA_FILE"):
                open_store(settings.resolved_store_url, settings).get("ecg/1.hea")


def test_a_missing_file_of_certificates_is_named(tmp_path: Path) -> None:
    settings = Settings(store_url="s3://bucket/x", s3_ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigurationError, match=r"STENCE_S3_CA_FILE=.*/ca\.pem is not a file"):
        open_store(settings.resolved_store_url, settings).get("x")
