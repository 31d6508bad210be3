"""What goes wrong between here and an S3 server: it is told in words, soon, and never as short content."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stence.errors import ConfigurationError, ObjectUnreadableError, StoreUnavailableError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.ports import free_port

RANDOM = random.Random(1)
pytestmark = pytest.mark.s3

CONTENT = RANDOM.randbytes(500_000)
SOON_SECONDS = 45.0
Spoiler = Callable[[int, bytes], bytes | None]


class Proxy:
    """Passes connections on to the server, and what comes back by ``spoil(bytes so far, next piece)``.

    Where ``spoil`` returns less than the piece, or None, the connection is cut.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.spoil: Spoiler = lambda _, piece: piece
        self.connections = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self._target)
            for source, sink, spoiled in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, spoiled), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, spoiled: bool) -> None:
        passed = 0
        try:
            while piece := source.recv(16384):
                answer = self.spoil(passed, piece) if spoiled else piece
                if answer:
                    sink.sendall(answer)
                if not answer or len(answer) < len(piece):
                    break
                passed += len(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                end.close()


@pytest.fixture
def direct(s3_settings: dict[str, Any]) -> ObjectStore:
    store = open_store(s3_settings["store_url"], Settings(**s3_settings))
    store.put("p7654321/ecg", CONTENT)
    return store


@pytest.fixture
def proxy(s3_settings: dict[str, Any]) -> Iterator[Proxy]:
    address = urlsplit(s3_settings["s3_endpoint_url"])
    assert address.hostname is not None
    assert address.port is not None
    proxy = Proxy((address.hostname, address.port))
    yield proxy
    proxy.close()


@pytest.fixture
def store(direct: ObjectStore, proxy: Proxy, s3_settings: dict[str, Any]) -> ObjectStore:
    """The same store as ``direct``, through the proxy."""
    options = s3_settings | {"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}
    return open_store(options["store_url"], Settings(**options))


def cut(after: int) -> Spoiler:
    return lambda passed, piece: piece[: after - passed] if passed < after else None


def flip(passed: int, piece: bytes) -> bytes:
    """Damage the body, never twice the same, without changing its length."""
    return piece if passed < 100_000 else RANDOM.randbytes(8)[: len(piece)] + piece[8:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil", [cut(1), cut(100_000), cut(500_000), flip], ids=["head", "body", "end", "flip"]
)
def test_a_body_cut_short_or_damaged_is_never_taken_for_whole(
    store: ObjectStore, proxy: Proxy, spoil: Spoiler
) -> None:
    proxy.spoil = spoil
    began = time.monotonic()
    for read in (store.get, lambda key: b"".join(store.stream(key))):
        with pytest.raises((StoreUnavailableError, ObjectUnreadableError)) as caught:
            read("p7654321/ecg")
        assert "p7654321" not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert time.monotonic() - began < SOON_SECONDS
    proxy.spoil = lambda _, piece: piece
    assert store.get("p7654321/ecg") == CONTENT


@pytest.mark.slow
def test_a_transfer_that_breaks_off_once_is_begun_again(store: ObjectStore, proxy: Proxy) -> None:
    broken = []

    def break_once(passed: int, piece: bytes) -> bytes | None:
        if passed > 100_000 and not broken:
            broken.append(passed)
            return None
        return piece

    proxy.spoil = break_once
    assert store.get("p7654321/ecg") == CONTENT
    assert broken


@pytest.mark.slow
def test_a_listing_cut_short_is_no_short_list(direct: ObjectStore, store: ObjectStore, proxy: Proxy) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: direct.put(f"many/{number}", b"x"), range(300)))
    proxy.spoil = cut(20_000)
    with pytest.raises(StoreUnavailableError):
        list(store.list("many/"))
    proxy.spoil = lambda _, piece: piece
    assert len(list(store.list("many/"))) == 300


@pytest.mark.slow
def test_a_silent_server_is_given_up(
    store: ObjectStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stence.objects.s3_client.READ_SECONDS", 1)
    proxy.spoil = lambda _, piece: time.sleep(3)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        store.head("p7654321/ecg")
    assert time.monotonic() - began < 10


def test_a_refused_connection_is_told_at_once(s3_settings: dict[str, Any]) -> None:
    port = free_port()
    options = s3_settings | {"s3_endpoint_url": f"http://127.0.0.1:{port}"}
    store = open_store(options["store_url"], Settings(**options))
    began = time.monotonic()
    for act in (store.get, store.head, store.delete, lambda key: list(store.list(key))):
        with pytest.raises(StoreUnavailableError, match=f"127.0.0.1:{port} does not answer"):
            act("key")
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_killed_server_is_an_outage_and_nothing_acknowledged_is_lost(
    s3_server: Any, tmp_path: Path
) -> None:
    server = type(s3_server)(s3_server.script.parent, tmp_path)
    try:
        options = server.settings | {"store_url": f"s3://{server.make_bucket()}/prefix"}
        store = open_store(options["store_url"], Settings(**options))
        acknowledged = put_until_killed(store, server)
        assert server.start()
        content = {found.key: store.get(found.key) for found in store.list("")}
    finally:
        server.kill()
    assert acknowledged
    assert acknowledged.items() <= content.items()
    assert all(len(value) == 100_000 for value in content.values())


ENOUGH_PUTS = 20


def put_until_killed(store: ObjectStore, server: Any) -> dict[str, bytes]:
    """Put from four threads until the server is killed; what was acknowledged."""
    acknowledged: dict[str, bytes] = {}

    def put(thread: int) -> None:
        for number in range(10_000):
            content = RANDOM.randbytes(100_000)
            store.put(key := f"{thread}/{number}", content)
            acknowledged[key] = content

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(put, thread) for thread in range(4)]
        until = time.monotonic() + SOON_SECONDS
        while len(acknowledged) < ENOUGH_PUTS and time.monotonic() < until:
            time.sleep(0.05)
        server.kill()
        began = time.monotonic()
        for writer in writers:
            with pytest.raises(StoreUnavailableError):
                writer.result()
        assert time.monotonic() - began < SOON_SECONDS
    return acknowledged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"s3_access_key": "nobody"}, "STENCE_S3_ACCESS_KEY"),
        ({"s3_secret_key": "wrong"}, "STENCE_S3_SECRET_KEY"),
        ({"s3_secret_key": None}, "STENCE_S3_SECRET_KEY"),
        ({"s3_access_key": None, "s3_secret_key": None}, "no credentials"),
        ({"s3_endpoint_url": "s3.example.org"}, "STENCE_S3_ENDPOINT_URL"),
        ({"store_url": "s3://no-such-bucket/x"}, "no such bucket"),
        ({"store_url": "s3://Not_A_Bucket!"}, "STENCE_STORE_URL"),
    ],
)
def test_a_wrong_setting_is_named(
    s3_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], advice: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    options = s3_settings | change
    for act in (lambda store: list(store.list("")), lambda store: store.put("key", b"x")):
        with pytest.raises(ConfigurationError, match=re.escape(advice)) as caught:
            act(open_store(options["store_url"], Settings(**options)))
        assert str(s3_settings["s3_secret_key"]) not in str(caught.value).replace("STENCE_S3_SECRET_KEY", "")


def test_a_server_that_speaks_no_s3_is_named(s3_settings: dict[str, Any]) -> None:
    def answer(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno\r\n"
                )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        options = s3_settings | {"s3_endpoint_url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        with pytest.raises(ConfigurationError, match="STENCE_S3_ENDPOINT_URL"):
            list(open_store(options["store_url"], Settings(**options)).list(""))
