"""Files and folders that no other account of the host gets into: they hold patients, signals and scores."""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_NAMES = (
    "postgres", "postgres.new", "postgres.log", "postgres.users", "postgres.gate", "prefect", "store",
    "training", "studies",
)  # fmt: skip
"""What stence keeps in its data folder."""
ACL = "system.posix_acl_access"


def keep_to_ourselves() -> None:
    """Let this process, and those that it starts, make files and folders for its own account only."""
    os.umask(OTHERS)


def make_data_folder(data_dir: Path) -> None:
    """Make the data folder; where an earlier version left it, or what stence keeps in it, open, close it."""
    make_folder(data_dir)
    for path in (data_dir, *(data_dir / name for name in OWN_NAMES)):
        close(path)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each for us alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode=FOLDER_MODE)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def open_lock(path: Path) -> IO[str]:
    """A file to lock, made where it is missing; others cannot open it, and so never hold the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    return os.fdopen(descriptor, "r+")


def close(path: Path) -> None:
    """Take from others what rights they have; told in the log. Folders that a whole host shares stay."""
    if path.is_symlink() or not path.exists():
        return
    if is_shared(path):
        log.warning("%s is a folder that others share: stence closes only what it makes in it", path)
    elif loose := rights_of_others(path):
        try:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~loose)
        except PermissionError:
            log.warning("%s is open to other accounts, and not ours to close: chmod go= it", path)
        else:
            log.warning("%s was open to other accounts of this host, and is closed now", path)


def rights_of_others(path: Path) -> int:
    """Mode bits that let others in. With an ACL, the group's bits are its mask: who set it decided."""
    return path.stat().st_mode & (stat.S_IRWXO if has_acl(path) else OTHERS)


def has_acl(path: Path) -> bool:
    """Whether single accounts have rights of their own to the folder."""
    with suppress(OSError, AttributeError):  # no such attribute, file system or operating system
        return bool(os.getxattr(path, ACL))
    return False


def is_shared(path: Path) -> bool:
    """Whether the folder is a public one (as /tmp), or one at the top of the host with other things in it."""
    if path.stat().st_mode & stat.S_ISVTX:
        return True
    at_the_top = path.parent == path.parent.parent
    return at_the_top and path.is_dir() and any(entry not in OWN_NAMES for entry in os.listdir(path))
