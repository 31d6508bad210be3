"""Both kinds of store keep the same promises; the S3 one against a real server."""

from __future__ import annotations

import os
import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stence.errors import (
    ConfigurationError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreUnavailableError,
)
from stence.objects import ObjectStore, open_store
from stence.settings import Settings

RANDOM = random.Random(1)
ODD_KEYS = [
    "ecg/Ä b/ü.hea",
    " leading and trailing ",
    "a+b%20c?d#e&f=g\"<>'\\*",
    "心電図/𝄞.dcm",
    "e\u0301 is not \u00e9",
    ".hidden/.file",
    "back\\slash",
    "new\nline",
    "x" * 200,
    "/".join(["deep"] * 60),
]
# In the order of their bytes: a folder's name sorts with its slash, U+FFFF before U+10000.
ORDERED = ["a", "b b", "b!", "b-c", "b.c", "b/", "b/a", "b/é", "b0", "c/\uffff", "c/\U00010000", "é"]


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        options: dict[str, Any] = {"store_url": (tmp_path / "a store").as_uri()}
    else:
        options = request.getfixturevalue("s3_settings")
    chosen = Settings(**options)
    return open_store(chosen.resolved_store_url, chosen)


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


@pytest.mark.parametrize("size", [0, 1, 2**20, 3 * 2**20 + 1])
def test_what_is_put_is_got(store: ObjectStore, size: int) -> None:
    content = RANDOM.randbytes(size)
    store.put("some/key", content)
    assert store.get("some/key") == content
    assert b"".join(store.stream("some/key")) == content
    assert store.head("some/key").size == size
    assert list(store.list("")) == [store.head("some/key")]


@pytest.mark.slow
def test_odd_keys_are_kept_as_they_are(store: ObjectStore) -> None:
    for key in ODD_KEYS:
        store.put(key, key.encode())
    assert sorted(keys(store)) == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert store.get(key) == key.encode()
        assert store.head(key).key == key


def test_a_listing_is_in_the_order_of_the_keys_bytes(store: ObjectStore) -> None:
    names = [key for key in ORDERED if not key.endswith("/")]
    for key in reversed(names):
        store.put(key, b"")
    assert keys(store) == names
    assert keys(store) == sorted(names, key=str.encode)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["p/10/a", "p/10/b", "p/1x", "p/2", "q"]),
        ("p/", ["p/10/a", "p/10/b", "p/1x", "p/2"]),
        ("p/1", ["p/10/a", "p/10/b", "p/1x"]),
        ("p/10/", ["p/10/a", "p/10/b"]),
        ("p/10/b", ["p/10/b"]),
        ("p", ["p/10/a", "p/10/b", "p/1x", "p/2"]),
        ("p/3", []),
        ("absent/", []),
        ("q/", []),
        ("../", []),
    ],
)
def test_a_prefix_may_end_anywhere(store: ObjectStore, prefix: str, expected: list[str]) -> None:
    for key in ("p/10/a", "p/10/b", "p/1x", "p/2", "q"):
        store.put(key, b"x")
    assert keys(store, prefix) == expected


@pytest.mark.slow
def test_a_listing_goes_on_beyond_one_page(store: ObjectStore) -> None:
    names = [f"many/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, b"x"), names))
    assert keys(store, "many/") == names


def test_the_etag_changes_with_the_content_alone(store: ObjectStore) -> None:
    store.put("key", b"first")
    first = store.head("key").etag
    assert next(store.list("key")).etag == store.head("key").etag == first
    store.put("key", b"other")
    assert store.head("key").etag != first


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", ["absent", "absent/below", "folder", "folder/", "", "folder/../key", "../key", "nul\0"]
)
def test_what_is_not_there_is_not_found(store: ObjectStore, key: str) -> None:
    store.put("key", b"x")
    store.put("folder/key", b"x")
    actions: list[Callable[[str], Any]] = [store.get, store.head, lambda key: next(store.stream(key))]
    for act in actions:
        with pytest.raises(ObjectNotFoundError):
            act(key)


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", ["", "/absolute", "a//b", "a/", ".", "a/./b", "..", "../up", "a/../b", "nul\0", "\ud800"]
)
def test_keys_that_not_every_store_can_hold_are_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ConfigurationError, match="not a key to write to"):
        store.put(key, b"x")
    assert keys(store) == []


def test_deleting_is_final_and_can_be_repeated(store: ObjectStore) -> None:
    store.put("folder/key", b"x")
    for key in ("folder/key", "folder/key", "never/was", "folder"):
        store.delete(key)
    assert keys(store) == []
    with pytest.raises(ObjectNotFoundError):
        store.get("folder/key")


def test_a_large_object_is_refused_unread(store: ObjectStore) -> None:
    store.put("key", bytes(1001))
    with pytest.raises(ObjectTooLargeError, match=r"1001 bytes.*1000"):
        store.get("key", limit_bytes=1000)
    assert len(store.get("key", limit_bytes=1001)) == 1001


@pytest.mark.slow
def test_readers_see_the_old_or_the_new_object_whole(store: ObjectStore) -> None:
    versions = [bytes([number]) * 300_000 for number in range(1, 9)]
    store.put("key", versions[0])
    done = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(store.get("key"))
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for content in versions * 3:
                store.put("key", content)
        finally:
            done.set()
        seen = set().union(*(reader.result() for reader in readers))
    assert seen <= set(versions)
    assert keys(store) == ["key"]


segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda text: text not in (".", "..") and len(text.encode()) < 200)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, min_size=1, max_size=4).map("/".join), st.binary(max_size=2000))
def test_any_key_and_content(store: ObjectStore, key: str, content: bytes) -> None:
    key = f"{uuid.uuid4()}/{key}"
    try:
        store.put(key, content)
        assert store.get(key) == content
        assert keys(store) == [key]
    finally:
        store.delete(key)


def test_a_forked_process_connects_anew(store: ObjectStore) -> None:
    store.put("key", b"before")
    child = os.fork()
    if child == 0:
        try:
            store.put("key", store.get("key") + b" and after")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("key") == b"before and after"


@pytest.mark.parametrize(
    "url", ["", "/srv/ecg", "http://host/x", "file://srv/ecg", "file:///a?b", "s3://", "s3:///key"]
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STENCE_STORE_URL"):
        open_store(url, Settings())


class NotNowError(OSError):
    """An error of the caller's own, of a kind that stores translate where it is theirs."""


def test_whoever_reads_may_refuse_an_object_by_its_size(store: ObjectStore) -> None:
    store.put("key", bytes(1001))
    sizes: list[int] = []
    assert store.get("key", admit=sizes.append) == bytes(1001)
    assert sizes == [1001]

    for error in (NotNowError("full"), StoreUnavailableError("mine"), ValueError("no")):

        def refuse(size: int, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            store.get("key", admit=refuse)
        assert caught.value is error

    with pytest.raises(ObjectTooLargeError):
        store.get("key", limit_bytes=1000, admit=sizes.append)
    with pytest.raises(ObjectNotFoundError):
        store.get("absent", admit=sizes.append)
    assert sizes == [1001]


def test_refused_objects_hold_no_connection(store: ObjectStore) -> None:
    store.put("key", bytes(3_000_000))

    def refuse(size: int) -> None:
        raise NotNowError

    for _ in range(40):
        with pytest.raises(NotNowError):
            store.get("key", admit=refuse)
    assert len(store.get("key")) == 3_000_000


def test_errors_name_the_object_beside_their_text(store: ObjectStore) -> None:
    store.put("p7654321/ecg", bytes(100))
    for act in (store.get, store.head, lambda key: next(store.stream(key))):
        with pytest.raises(ObjectNotFoundError) as absent:
            act("p7654321/absent\x1b")
        assert (absent.value.object_key, "7654321" in str(absent.value)) == ("p7654321/absent\x1b", False)
    with pytest.raises(ObjectTooLargeError) as large:
        store.get("p7654321/ecg", 10)
    assert (large.value.object_key, "7654321" in str(large.value)) == ("p7654321/ecg", False)


@pytest.mark.slow
def test_nothing_is_skipped_where_all_is_open(store: ObjectStore) -> None:
    store.put("key", b"x")
    skipped: list[str] = []
    assert [found.key for found in store.list("", skipped.append)] == ["key"]
    assert skipped == []


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hunter2@bucket/prefix",
        "s3://key:hun@ter2@bucket",
        "s3://key:hun/hunter2@bucket",
        "file://user:hunter2@host/x",
        "ftp://user:hunter2@host/x",
        "https://host/bucket?X-Amz-Signature=hunter2",
    ],
)
def test_a_secret_in_a_url_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STENCE_STORE_URL") as caught:
        open_store(url, Settings())
    assert not any(secret in str(caught.value) for secret in ("hunter2", "ter2", "hun"))
