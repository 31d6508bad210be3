"""A folder as a store: nothing leads out of it, nothing unfinished shows, and errors say what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stence.errors import ConfigurationError, ObjectKeyError, ObjectNotFoundError, StoreUnavailableError
from stence.objects import LocalStore, open_store
from stence.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.fixture
def outside(tmp_path: Path, root: Path, store: LocalStore) -> Iterator[Path]:
    """A folder beside the store that two links in the store lead to; it must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(folder)
    (root / "file").symlink_to(folder / "secret")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_bytes() == b"secret"


def keys(store: LocalStore, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


@pytest.mark.parametrize("key", ["link/secret", "file", "../outside/secret", "link/../file"])
def test_no_key_reads_outside_the_folder(store: LocalStore, outside: Path, key: str) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.get(key)
    with pytest.raises(ObjectNotFoundError):
        store.head(key)


@pytest.mark.parametrize("key", ["link/new", "link/secret", "link/deep/new", "../outside/new"])
def test_no_key_writes_or_deletes_outside_the_folder(store: LocalStore, outside: Path, key: str) -> None:
    with pytest.raises(ConfigurationError):
        store.put(key, b"x")
    store.delete(key)


def test_links_are_passed_over_in_a_listing_and_counted(
    store: LocalStore, outside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.put("kept", b"x")
    assert keys(store) == ["kept"]
    assert keys(store, "link/") == []
    assert "2 symbolic links" in caplog.text


def test_putting_over_a_link_replaces_the_link(store: LocalStore, outside: Path) -> None:
    store.put("file", b"ours")
    assert store.get("file") == b"ours"


def test_a_root_behind_a_link_is_fine(tmp_path: Path, root: Path, store: LocalStore) -> None:
    store.put("key", b"x")
    (tmp_path / "alias").symlink_to(root)
    assert LocalStore(tmp_path / "alias").get("key") == b"x"


def test_a_url_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1? ünder"
    store = open_store(folder.as_uri(), Settings())
    store.put("key", b"x")
    assert (folder / "key").read_bytes() == b"x"
    assert store.url == folder.as_uri()


def test_names_that_are_not_text_are_passed_over_and_counted(
    root: Path, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    (root / os.fsdecode(b"\xff.hea")).write_bytes(b"x")
    store.put("key", b"x")
    assert keys(store) == ["key"]
    assert "1 names that are not UTF-8" in caplog.text


def test_only_files_are_objects(root: Path, store: LocalStore) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    assert keys(store) == []
    for key in ("pipe", "folder"):
        with pytest.raises(ObjectNotFoundError):
            store.get(key)


@pytest.mark.slow
def test_what_a_killed_writer_leaves_is_no_object(root: Path, store: LocalStore) -> None:
    """kill -9 at any moment: the object is the old one or a new one, whole, and nothing else is listed."""
    store.put("folder/key", b"0" * 5_000_000)
    code = (
        "import sys; from pathlib import Path; from stence.objects import LocalStore\n"
        "store = LocalStore(Path(sys.argv[1])); print('ready', flush=True)\n"
        "while True:\n  for digit in b'123456789': store.put('folder/key', bytes([digit]) * 5_000_000)\n"
    )
    for number in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.02 + 0.013 * number)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = store.get("folder/key")
        assert content == content[:1] * 5_000_000
        assert keys(store) == ["folder/key"]
    for path in root.rglob("*.tmp"):
        with pytest.raises(ObjectNotFoundError):
            store.get(path.relative_to(root).as_posix())


def test_a_write_that_fails_leaves_nothing(root: Path, store: LocalStore) -> None:
    store.put("folder/key", b"x")
    for key, text in (
        ("folder", "directory"),
        ("folder/key/below", "not a directory"),
        ("n" * 300, "too long"),
    ):
        with pytest.raises(ObjectKeyError, match=f"(?i){text}") as caught:
            store.put(key, b"x")
        assert caught.value.object_key == key
    with pytest.raises(ConfigurationError, match="unfinished"):
        store.put(f".stence-{'0' * 32}.tmp", b"x")
    assert [path.name for path in root.rglob("*")] == ["folder", "key"]


def test_an_edit_in_place_changes_the_etag(root: Path, store: LocalStore) -> None:
    store.put("key", b"old content")
    before = store.head("key").etag
    (root / "key").write_bytes(b"new content")
    assert store.head("key").etag != before


def test_a_folder_that_is_gone_is_an_outage_not_an_empty_store(root: Path, store: LocalStore) -> None:
    store.put("key", b"x")
    aside = root.rename(root.with_name("unmounted"))
    for gone in (None, root.mkdir):  # nothing there, then the empty mount point
        if gone:
            gone()
        with pytest.raises(StoreUnavailableError, match="mounted"):
            keys(store)
        with pytest.raises(StoreUnavailableError, match="mounted"):
            store.get("key")
    root.rmdir()
    aside.rename(root)
    assert keys(store) == ["key"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it(root: Path, store: LocalStore) -> None:
    store.put("key", b"x")
    (root / "key").chmod(0)
    with pytest.raises(ConfigurationError, match="grant"):
        store.get("key")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="cannot hold objects"):
        LocalStore(tmp_path / "file" / "store")


def test_errors_of_an_outage_name_no_object(root: Path, store: LocalStore) -> None:
    """Keys can hold patient identifiers, and these texts end up in logs."""
    store.put("p1234567/ecg", b"x")
    root.rename(root.with_name("unmounted"))
    with pytest.raises(StoreUnavailableError) as caught:
        store.get("p1234567/ecg")
    assert "p1234567" not in str(caught.value)
    assert caught.value.__suppress_context__


TRICKS = [
    "..", ".", "", "/", "//secret", "/etc/passwd", "a//secret", "./secret", "ecg/../../outside/secret",
    "ecg/..", "\0", "ecg/\0", "secret\0.hea", "\ud800", "x" * 2000,
]  # fmt: skip
"""Keys that would name other files, or that a system call cuts short."""
PLAIN = ["%2e%2e/outside/secret", "..%2foutside%2fsecret", "..\\outside\\secret", "...", "ecg/..hidden"]
"""Keys that only look like it: they name files of just these names below the folder."""


@pytest.mark.parametrize("key", TRICKS)
def test_keys_that_are_no_keys(root: Path, store: LocalStore, outside: Path, key: str) -> None:
    (root / "secret").write_bytes(b"ours")
    for act in (store.get, store.head, lambda key: b"".join(store.stream(key))):
        with pytest.raises(ObjectNotFoundError):
            act(key)
    with pytest.raises(ObjectKeyError):
        store.put(key, b"x")
    store.delete(key)
    assert (root / "secret").read_bytes() == b"ours"


@pytest.mark.parametrize("key", PLAIN)
def test_keys_are_not_decoded(root: Path, store: LocalStore, outside: Path, key: str) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.get(key)
    store.put(key, b"x")
    assert (root / key).resolve().is_relative_to(root.resolve())
    assert store.get(key) == b"x"
    store.delete(key)
    with pytest.raises(ObjectNotFoundError):
        store.get(key)


def test_a_folder_that_becomes_a_link(root: Path, store: LocalStore, outside: Path) -> None:
    store.put("ecg/secret", b"ours")
    (root / "ecg").rename(root / "before")
    (root / "ecg").symlink_to(outside)
    with pytest.raises(ObjectNotFoundError):
        store.get("ecg/secret")
    with pytest.raises(ObjectKeyError):
        store.put("ecg/secret", b"x")
    store.delete("ecg/secret")
    assert keys(store, "ecg/") == []
