"""A folder in which something is closed, broken or odd: each costs itself only, and is told."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stence.errors import (
    ObjectError,
    ObjectForbiddenError,
    ObjectKeyError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ObjectUnreadableError,
    StoreUnavailableError,
)
from stence.objects import LocalStore

NOBODY = 65534


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """A store that an ordinary user reads: root may read everything."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    made = LocalStore(root)
    for key in ("ecg/a", "ecg/closed/b", "ecg/z"):
        made.put(key, b"x")
    try:
        yield made
    finally:
        shutil.rmtree(root)


@pytest.fixture
def as_user() -> Iterator[None]:
    """The rights of an ordinary user for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def shut(file: Path) -> None:
    """Close it to an ordinary user, with the rights of whoever runs the test."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    file.chmod(0)
    os.seteuid(user)


def listed(store: LocalStore, prefix: str = "") -> tuple[list[str], list[str]]:
    """The keys, and what was passed over."""
    skipped: list[str] = []
    return [found.key for found in store.list(prefix, skipped.append)], skipped


def path(store: LocalStore, key: str) -> Path:
    return Path(store.url.removeprefix("file://"), key)


@pytest.fixture(params=[0o000, 0o400, 0o444])
def closed(request: pytest.FixtureRequest, store: LocalStore) -> Iterator[Path]:
    """A subfolder that may not be listed, or whose files may not be looked at."""
    folder = path(store, "ecg/closed")
    folder.chmod(request.param)
    yield folder
    folder.chmod(0o755)


def test_a_closed_subfolder_costs_itself_only_and_is_told(
    store: LocalStore, closed: Path, as_user: None, caplog: pytest.LogCaptureFixture
) -> None:
    keys, skipped = listed(store)
    assert keys == ["ecg/a", "ecg/z"]
    assert skipped
    assert all(key.startswith("ecg/closed/") for key in skipped)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "1 folders or files that cannot be listed (Permission denied)" in record.getMessage()
    assert "closed" not in record.getMessage()
    assert record.object_key == ""  # type: ignore[attr-defined]
    assert list(store.list("")) == [store.head("ecg/a"), store.head("ecg/z")]


def test_a_closed_prefix_is_an_error(store: LocalStore, as_user: None) -> None:
    shut(path(store, "ecg/closed"))
    with pytest.raises(ObjectForbiddenError, match="grant the right") as caught:
        listed(store, "ecg/closed/")
    assert caught.value.object_key == "ecg/closed/"


def test_a_closed_file_costs_itself_only(store: LocalStore, as_user: None) -> None:
    shut(path(store, "ecg/a"))
    for read in (store.get, lambda key: next(store.stream(key))):
        with pytest.raises(ObjectForbiddenError) as caught:
            read("ecg/a")
        assert caught.value.object_key == "ecg/a"
        assert "ecg/a" not in str(caught.value)
    assert store.get("ecg/z") == b"x"
    assert listed(store)[0] == ["ecg/a", "ecg/closed/b", "ecg/z"]


def make_deep(root: Path, segment: str, depth: int) -> None:
    """A file deeper than any path reaches, as tools that walk by folder make them."""
    here = os.open(root, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(segment, dir_fd=here)
        below = os.open(segment, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.mark.parametrize(("segment", "depth"), [("n" * 200, 15), ("n" * 200, 30), ("n", 700)])
def test_a_path_too_long_for_a_key_costs_itself_only(store: LocalStore, segment: str, depth: int) -> None:
    make_deep(path(store, "ecg"), segment, depth)
    keys, skipped = listed(store)
    assert keys == ["ecg/a", "ecg/closed/b", "ecg/z"]
    assert len(skipped) == 1
    assert len(skipped[0]) > 1024


@pytest.mark.slow
def test_a_key_of_just_the_right_length(store: LocalStore) -> None:
    for key in ("ecg/" + "n/" * 509 + "ab", "ecg/" + "\u00e4/" * 339 + "\u00e4"):
        assert len(key.encode()) <= 1024
        store.put(key, b"deep")
        assert store.get(key) == b"deep"
        assert key in listed(store)[0]


@pytest.mark.parametrize("key", ["x" * 3000, "a/" * 1500 + "a", "/".join(["y" * 250] * 20), "\u00e4" * 513])
def test_long_keys_are_not_found(store: LocalStore, key: str) -> None:
    actions: list[Callable[[str], object]] = [store.get, store.head, lambda key: next(store.stream(key))]
    for act in actions:
        with pytest.raises(ObjectNotFoundError) as caught:
            act(key)
        assert caught.value.object_key == key
    with pytest.raises(ObjectKeyError, match="1024 bytes"):
        store.put(key, b"x")
    assert listed(store, key) == ([], [])
    store.delete(key)


def test_what_is_no_file_is_passed_over_and_counted(
    store: LocalStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(path(store, "ecg/pipe.hea"))
    path(store, "ecg/loop.hea").symlink_to("loop.hea")
    path(store, "ecg/up").symlink_to("..")
    monkeypatch.chdir(path(store, "ecg"))  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.hea")
        assert listed(store) == (["ecg/a", "ecg/closed/b", "ecg/z"], [])
    assert "2 pipes, sockets or devices" in caplog.text
    assert "2 symbolic links" in caplog.text
    for key in ("pipe.hea", "loop.hea", "socket.hea", "up/ecg/a", "up"):
        with pytest.raises(ObjectNotFoundError):
            store.get(f"ecg/{key}")


def test_a_name_that_is_no_text_is_told(store: LocalStore) -> None:
    path(store, os.fsdecode(b"ecg/caf\xe9.hea")).write_bytes(b"x")
    assert listed(store)[1] == ["ecg/caf\\xe9.hea"]


def test_a_file_that_vanishes_or_shrinks_or_grows(store: LocalStore) -> None:
    store.put("ecg/m", b"1" * 3_000_000)
    files = store.list("ecg/")
    assert next(files).key == "ecg/a"
    path(store, "ecg/z").unlink()
    path(store, "ecg/closed/b").unlink()
    assert [found.key for found in files] == ["ecg/m"]
    pieces = store.stream("ecg/m")
    next(pieces)
    with path(store, "ecg/m").open("ab") as file:
        file.write(b"2" * 10_000_000)
    assert sum(map(len, pieces)) < 2_000_000


def test_a_file_with_a_disk_error_costs_itself_only() -> None:
    """/proc/self/mem is a regular file whose first page cannot be read: EIO."""
    store = LocalStore(Path("/proc/self"))
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    with pytest.raises(ObjectUnreadableError, match="Input/output error") as caught:
        next(store._chunks("mem", memory, 1))
    os.close(memory)
    assert caught.value.object_key == "mem"
    assert store.head("comm").key == "comm"


def test_a_process_without_free_files_blames_no_object(store: LocalStore) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StoreUnavailableError):
            store.get("ecg/a")
        with pytest.raises(StoreUnavailableError):
            listed(store)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_listing_during_which_the_folder_goes_is_no_short_list(store: LocalStore) -> None:
    files = store.list("ecg/")
    next(files)
    root = path(store, "")
    aside = root.rename(root.with_name(f"{root.name}-unmounted"))
    with pytest.raises(StoreUnavailableError, match="mounted"):
        list(files)
    aside.rename(root)


def test_no_message_holds_a_key(store: LocalStore) -> None:
    store.put("p7654321/ecg", b"x" * 100)
    actions: list[Callable[[], object]] = [
        lambda: store.get("p7654321/absent"),
        lambda: store.head("p7654321"),
        lambda: store.get("p7654321/ecg", 10),
        lambda: store.put("p7654321/ecg/below", b"x"),
        lambda: store.put("p7654321//x", b"x"),
        lambda: store.put(f"p7654321/.stence-{'0' * 32}.tmp", b"x"),
    ]
    for act in actions:
        with pytest.raises(ObjectError) as caught:
            act()
        assert "7654321" not in str(caught.value)
        assert "7654321" in (caught.value.object_key or "")
        assert caught.value.__context__ is None or caught.value.__suppress_context__
    with pytest.raises(ObjectTooLargeError, match="100 bytes; at most 10"):
        store.get("p7654321/ecg", 10)
