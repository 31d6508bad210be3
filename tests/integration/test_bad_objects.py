"""One bad object in a store costs itself only: it is told from a store that does not answer."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from stence.errors import (
    ConfigurationError,
    ObjectError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StoreUnavailableError,
)
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.faulty_s3 import Answer, Fault, FaultyServer, Request, changed, error, first, with_etag

RANDOM = random.Random(1)
pytestmark = pytest.mark.s3

KEY = "p7654321/bad"
CONTENT = RANDOM.randbytes(500_000)
LARGE = RANDOM.randbytes(5_000_000)


@pytest.fixture
def faulty(s3_settings: dict[str, Any]) -> Iterator[FaultyServer]:
    address = urlsplit(s3_settings["s3_endpoint_url"])
    assert address.hostname is not None
    assert address.port is not None
    with FaultyServer((address.hostname, address.port)) as server:
        yield server


@pytest.fixture
def store(faulty: FaultyServer, s3_settings: dict[str, Any]) -> ObjectStore:
    direct = open_store(s3_settings["store_url"], Settings(**s3_settings))
    direct.put(KEY, CONTENT)
    for number in range(3):
        direct.put(f"good/{number}", b"good")
    options = s3_settings | {"s3_endpoint_url": faulty.url}
    return open_store(options["store_url"], Settings(**options))


def damaged(_: Request, answer: Answer) -> Answer:
    at = int.from_bytes(RANDOM.randbytes(2), "big")
    return replace(answer, body=answer.body[:at] + RANDOM.randbytes(64) + answer.body[at + 64 :])


def refused(store: ObjectStore, read: Any = None) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        (read or store.get)(KEY)
    assert caught.value.object_key == KEY
    assert "7654321" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


def streamed(store: ObjectStore, key: str = KEY) -> bytes:
    return b"".join(store.stream(key))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (error(403, "InvalidObjectState"), "archived; restore it"),
        (error(400, "KMS.DisabledException"), "key that it is encrypted with"),
        (error(400, "KMS.KMSInvalidStateException"), "key that it is encrypted with"),
        (error(405, "MethodNotAllowed"), "MethodNotAllowed"),
        (error(416, "InvalidRange"), "InvalidRange"),
        (error(400, "InvalidRequest"), "InvalidRequest"),
        (error(500, "InternalError"), "500 InternalError"),
        (error(503, "ServiceUnavailable"), "503 ServiceUnavailable"),
        (error(409, "OperationAborted"), "OperationAborted"),
        (changed(cut_at=100_000), "breaks off"),
        (changed(cut_at=0), "breaks off"),
        (damaged, "arrives damaged"),
    ],
)
def test_a_bad_object_is_told_from_a_store_that_is_down(
    store: ObjectStore, faulty: FaultyServer, fault: Fault, text: str
) -> None:
    faulty.faults[KEY] = fault
    for read in (store.get, lambda _: streamed(store)):
        found = refused(store, read)
        assert isinstance(found, ObjectUnreadableError)
        assert text in str(found)
        assert store.get("good/1") == b"good"
    faulty.faults.clear()
    assert store.get(KEY) == streamed(store) == CONTENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (405, "MethodNotAllowed"), (400, "Bad")]
)
def test_its_head_too(store: ObjectStore, faulty: FaultyServer, status: int, code: str) -> None:
    faulty.faults[KEY] = error(status, code)
    assert isinstance(refused(store, store.head), ObjectUnreadableError)


def test_what_is_clear_is_not_asked_about_again(store: ObjectStore, faulty: FaultyServer) -> None:
    faulty.faults[KEY] = error(403, "InvalidObjectState")
    refused(store)
    assert len(faulty.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "AccessDenied", ObjectForbiddenError), (404, "NoSuchKey", ObjectNotFoundError)],
)
def test_what_was_clear_stays_so(
    store: ObjectStore, faulty: FaultyServer, status: int, code: str, kind: type[ObjectError]
) -> None:
    faulty.faults[KEY] = error(status, code)
    assert isinstance(refused(store), kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts", [["/bad", "/0", "/1", "/2"], ["/bad", "/0", "/1", "/2", ""]], ids=["objects", "all"]
)
def test_a_store_that_serves_no_object_is_down(
    store: ObjectStore, faulty: FaultyServer, parts: list[str]
) -> None:
    """Also where it still lists them: its data may be gone while its index is there."""
    faulty.faults |= dict.fromkeys(parts, error(500, "InternalError"))
    for read in (store.get, store.head, lambda _: streamed(store)):
        with pytest.raises(StoreUnavailableError):
            read(KEY)


def test_what_answers_nothing_but_405_is_no_store(store: ObjectStore, faulty: FaultyServer) -> None:
    faulty.faults[""] = error(405, "MethodNotAllowed")
    with pytest.raises(ConfigurationError, match="STENCE_S3_ENDPOINT_URL") as caught:
        store.get(KEY)
    assert not isinstance(caught.value, ObjectError)


@pytest.mark.slow
def test_a_store_that_asks_for_fewer_requests_is_no_bad_object(
    store: ObjectStore, faulty: FaultyServer
) -> None:
    faulty.faults[KEY] = error(503, "SlowDown")
    with pytest.raises(StoreUnavailableError):
        store.get(KEY)


def test_the_object_that_was_read_last_speaks_for_the_store(store: ObjectStore, faulty: FaultyServer) -> None:
    """Where those that are listed first are all bad."""
    store.put("z/good", b"good")
    store.get("z/good")
    faulty.faults |= dict.fromkeys(["/bad", "/0", "/1", "/2"], error(500, "InternalError"))
    assert isinstance(refused(store), ObjectUnreadableError)


@pytest.mark.slow
def test_the_only_object_is_bad(store: ObjectStore, faulty: FaultyServer) -> None:
    for number in range(3):
        store.delete(f"good/{number}")
    faulty.faults[KEY] = error(500, "InternalError")
    assert isinstance(refused(store), ObjectUnreadableError)


@pytest.mark.parametrize("fault", [error(500, "InternalError"), changed(cut_at=1000), damaged])
def test_a_passing_fault_costs_nothing(store: ObjectStore, faulty: FaultyServer, fault: Fault) -> None:
    faulty.faults[KEY] = first(1, fault)
    assert store.get(KEY) == CONTENT


def test_a_store_that_comes_back_meanwhile_is_asked_again(store: ObjectStore, faulty: FaultyServer) -> None:
    """As many failures as one request has attempts, then all is well: the object was never bad."""
    faulty.faults[KEY] = first(3, error(500, "InternalError"))
    assert store.get(KEY) == CONTENT


@pytest.mark.slow
@pytest.mark.parametrize("etag", ["0" * 32, "d41d8cd98f00b204e9800998ecf8427e"])
def test_an_etag_that_looks_like_an_md5_and_is_none(
    store: ObjectStore, faulty: FaultyServer, etag: str
) -> None:
    faulty.faults[KEY] = with_etag(etag)
    assert store.get(KEY) == streamed(store) == CONTENT
    assert store.head(KEY).etag == etag


def test_a_stream_goes_on_where_it_broke_off(store: ObjectStore, faulty: FaultyServer) -> None:
    store.put(KEY, LARGE)
    faulty.requests.clear()
    faulty.faults[KEY] = first(2, changed(cut_at=2_200_000))
    assert streamed(store) == LARGE
    ranges = [request.headers.get("Range") for request in faulty.requests if request.key.endswith(KEY)]
    starts = [int((each or "bytes=0-")[6:-1]) for each in ranges]
    assert len(starts) == 3
    assert 0 == starts[0] < 2**20 < starts[1] < starts[2] < len(LARGE)


def whole(_: Request, answer: Answer) -> Answer:
    """What a server answers that knows no ranges."""
    return replace(
        answer, status=200, body=LARGE, headers=answer.headers | {"Content-Length": str(len(LARGE))}
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", [with_etag("1" * 32), whole])
def test_a_stream_goes_on_with_nothing_else(store: ObjectStore, faulty: FaultyServer, fault: Fault) -> None:
    """What was replaced meanwhile is never joined to what came before."""
    store.put(KEY, LARGE)
    broken = changed(cut_at=2_200_000)
    faulty.faults[KEY] = lambda request, answer: (broken if request.number == 1 else fault)(request, answer)
    pieces: list[bytes] = []
    with pytest.raises(ObjectUnreadableError):
        pieces.extend(store.stream(KEY))
    assert LARGE.startswith(b"".join(pieces))


@pytest.mark.slow
def test_an_object_that_comes_byte_by_byte_has_a_deadline(
    store: ObjectStore, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stence.objects.s3_transfer.GRACE_SECONDS", 1.0)
    monkeypatch.setattr("stence.objects.s3_transfer.SLOWEST_BYTES_A_SECOND", 10_000_000)
    faulty.faults[KEY] = changed(pause=0.2)
    for read in (store.get, lambda _: streamed(store)):
        began = time.monotonic()
        found = refused(store, read)
        assert isinstance(found, ObjectUnreadableError)
        assert "too slowly" in str(found)
        assert time.monotonic() - began < 5


@pytest.mark.slow
def test_the_readers_own_time_does_not_count(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stence.objects.s3_transfer.GRACE_SECONDS", 1.5)
    store.put(KEY, LARGE)
    got = b""
    for piece in store.stream(KEY):
        time.sleep(0.5)
        got += piece
    assert got == LARGE


@pytest.mark.slow
def test_an_object_that_is_never_answered_for(
    store: ObjectStore, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stence.objects.s3_client.READ_SECONDS", 0.5)

    def silent(_: Request, answer: Answer) -> Answer:
        time.sleep(2)
        return answer

    faulty.faults[KEY] = silent
    assert isinstance(refused(store), ObjectUnreadableError)


def test_no_log_line_names_an_object(
    store: ObjectStore, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="stence")
    faulty.faults[KEY] = error(500, "InternalError")
    refused(store)
    assert "7654321" not in "".join(
        record.getMessage() for record in caplog.records if "stence" in record.name
    )


def test_an_angiogram_that_cannot_be_read_has_a_reason(store: ObjectStore, faulty: FaultyServer) -> None:
    from stence.angiography.reasons import Reason
    from stence.angiography.refusals import STORE_ERRORS, as_refused

    for fault, reason in (
        (error(403, "InvalidObjectState"), Reason.OBJECT_UNREADABLE),
        (error(403, "AccessDenied"), Reason.OBJECT_FORBIDDEN),
        (error(404, "NoSuchKey"), Reason.OBJECT_MISSING),
    ):
        faulty.faults[KEY] = fault
        found = refused(store)
        assert isinstance(found, STORE_ERRORS)
        assert as_refused(found).reason is reason
