"""No other account of the host reads the data folder, holds its locks, or reaches the embedded Postgres."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text

from stence import database, private
from stence.database import account, acl
from stence.database.embedded import Server
from stence.errors import DatabaseUnavailableError
from stence.objects import open_store
from stence.settings import Settings

STENCE = Path(sys.executable).with_name("stence")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another account")

INTRUDER = """
import fcntl, os, socket, sys

def attempt(what, path, action):
    try:
        action()
    except OSError:
        return
    print(what, path, flush=True)

def lock(path):
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

def connect(path):
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)

print("begins", flush=True)
for path in sys.stdin.read().splitlines():
    if path not in sys.argv:
        attempt("see", path, lambda: os.stat(path))
    attempt("list", path, lambda: os.listdir(path))
    attempt("read", path, lambda: open(path).read(1))
    attempt("write", path, lambda: open(path, "a"))
    attempt("lock", path, lambda: lock(path))
    if path.endswith(".s.PGSQL.5432"):
        attempt("connect", path, lambda: connect(path))
print("ends", flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may enter and list, so that the data folder in it has only itself to rely on."""
    with TemporaryDirectory(prefix="stence-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def left_open(folder: Path) -> Path:
    """A data folder as earlier versions left it."""
    data_dir = folder / "data"
    for name in ("", "store", "store/ecg", "prefect", "training"):
        (data_dir / name).mkdir(mode=0o755)
    for name in ("postgres.gate", "postgres.users", "prefect/prefect.db", "store/ecg/a.hea"):
        (data_dir / name).touch(mode=0o644)
    return data_dir


def everything(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in (folder, *folder.rglob("*"))]


def open_to_others(*folders: Path) -> list[str]:
    """What has a mode bit for others; a folder with an ACL shows its mask where the group's bits are."""
    return [
        f"{stat.filemode(path.lstat().st_mode)} {path}"
        for path in everything(*folders)
        if not path.is_symlink() and private.rights_of_others(path)
    ]


def intrude(data_dir: Path, *folders: Path) -> list[str]:
    """What ``nobody`` could do to these folders and all that lies in them."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run(
        [python, "-I", "-c", INTRUDER, data_dir, *folders],
        input="\n".join(map(str, everything(data_dir, *folders))),
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    first, *found, last = done.stdout.splitlines()
    assert (first, last) == ("begins", "ends"), done.stderr
    return found


@pytest.mark.slow
def test_a_folder_that_was_left_open_is_closed_and_that_is_told(
    left_open: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data_dir=left_open)
    with caplog.at_level(logging.INFO), database.connect(settings):
        assert f"{left_open} was open to other accounts of this host, and is closed now" in caplog.text
        open_store(settings.resolved_store_url, settings).put("ecg/sub/b.hea", b"")
        (left_open / "store/ecg/a.hea").chmod(0o600)
        (left_open / "store/ecg").chmod(0o700)
        (left_open / "prefect/prefect.db").chmod(0o600)
        assert open_to_others(left_open) == []


@pytest.mark.slow
@needs_root
def test_nobody_gets_into_a_folder_that_was_left_open(left_open: Path) -> None:
    found = intrude(left_open)
    assert f"read {left_open}/store/ecg/a.hea" in found
    assert f"lock {left_open}/postgres.gate" in found
    settings = Settings(data_dir=left_open)
    with database.connect(settings):
        open_store(settings.resolved_store_url, settings).put("ecg/sub/b.hea", b"")
        assert intrude(left_open) == []


@pytest.mark.slow
@needs_root
def test_nobody_reaches_a_server_whose_socket_lies_elsewhere(folder: Path) -> None:
    data_dir = folder / ("long" * 30)
    with database.connect(Settings(data_dir=data_dir)):
        sockets = Server(data_dir).socket_folder
        assert data_dir not in sockets.parents
        assert list(sockets.glob(".s.PGSQL.5432"))
        assert intrude(data_dir, sockets) == []


@pytest.mark.slow
def test_what_the_commands_write_is_closed_too(folder: Path) -> None:
    data_dir = folder / "new" / "data"
    done = subprocess.run(
        [STENCE, "ingest"],
        env=os.environ | {"STENCE_DATA_DIR": str(data_dir), "PREFECT_HOME": str(data_dir / "prefect")},
        cwd=folder,
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"postgres", "postgres.gate", "prefect", "store"} <= set(os.listdir(data_dir))
    assert (data_dir / "prefect" / "prefect.db").exists()
    assert open_to_others(folder / "new") == []
    if os.geteuid() == 0:
        assert intrude(folder / "new") == []


@pytest.mark.slow
@needs_root
def test_a_private_parent_is_opened_to_the_servers_account_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parent = folder / "private"
    parent.mkdir(mode=0o700)
    with database.connect(Settings(data_dir=parent / "data")) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT 7")) == 7
        assert intrude(parent) == []
    for path in (parent, parent / "data"):
        assert not path.stat().st_mode & stat.S_IRWXO
        assert f"let the account stence_postgres, and only it, pass through {path}" in caplog.text
    owner = account.server_account()
    assert owner is not None
    for action, allowed in ((["test", "-x", str(parent)], True), (["ls", str(parent)], False)):
        done = subprocess.run(
            action, user=owner.pw_uid, group=owner.pw_gid, extra_groups=[], capture_output=True, check=False
        )
        assert (done.returncode == 0) is allowed
    with database.connect(Settings(data_dir=parent / "data")):
        assert caplog.text.count(f"pass through {parent}\n") == 1


@needs_root
def test_an_acl_lets_in_nobody_whom_its_mask_kept_out(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    friend, server = 12345, 23456
    acl.let_pass(closed, friend)
    assert passes(closed, friend)
    closed.chmod(0o700)  # takes the mask, and so the friend's right
    assert not passes(closed, friend)
    acl.let_pass(closed, server)
    assert passes(closed, server)
    assert not passes(closed, friend)


def passes(folder: Path, number: int) -> bool:
    done = subprocess.run(["test", "-x", folder], user=number, group=number, extra_groups=[], check=False)
    return done.returncode == 0


@needs_root
def test_where_no_acl_can_be_set_it_says_why_it_cannot_start(folder: Path) -> None:
    """proc knows none."""
    own = account.server_account()
    assert own is not None
    with pytest.raises(OSError, match="not supported"):
        acl.let_pass(Path("/proc/self"), own.pw_uid)
    with pytest.raises(DatabaseUnavailableError, match=r"cannot pass through /proc/.*no ACL can be set"):
        account.let_pass(Path("/proc/self/task"), Path(f"/proc/{os.getpid()}/map_files"))


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_an_object_is_as_open_as_the_stores_folder(folder: Path, mode: int) -> None:
    root = folder / "hospital"
    root.mkdir(mode=mode)
    before = os.umask(0o077)
    try:
        open_store(root.as_uri(), Settings(data_dir=folder / "data")).put("reports/today/a.html", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == mode
    assert stat.S_IMODE((root / "reports/today").stat().st_mode) == mode
    assert stat.S_IMODE((root / "reports/today/a.html").stat().st_mode) == mode & 0o644 | 0o600


def test_a_public_folder_is_not_closed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.chmod(0o1777)
    private.make_data_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert "others share" in caplog.text
