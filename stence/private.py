"""Private files and folders, closed to other accounts of the host: they hold patient data."""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from stence.discretion import plain

log = logging.getLogger(__name__)

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_NAMES = (
    "postgres", "postgres.new", "postgres.log", "postgres.users", "postgres.gate", "prefect", "store",
    "training", "studies", "forms", "pseudonym.key", "tmp",
)  # fmt: skip
"""Names of stence's own files in the data folder."""
ACL = "system.posix_acl_access"


def keep_to_ourselves() -> None:
    """Set the umask of this process and its children: new files and folders are private."""
    os.umask(OTHERS)


def make_data_folder(data_dir: Path) -> None:
    """Make the data folder and stence's own files in it private. Earlier versions may have left them open."""
    make_folder(data_dir)
    for path in (data_dir, *(data_dir / name for name in OWN_NAMES)):
        close(path)


def make_folder(folder: Path) -> None:
    """Make a private folder, and its missing parents, which are private too."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode=FOLDER_MODE)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def open_lock(path: Path) -> IO[str]:
    """Open a private lock file, and create it if missing. Other accounts can neither open nor lock it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    return os.fdopen(descriptor, "r+")


def close(path: Path) -> None:
    """Remove the rights of others, with a log message. Shared folders of the host are not changed."""
    if path.is_symlink() or not path.exists():
        return
    if is_shared(path):
        log.warning("%s is a folder that others share: stence closes only what it makes in it", plain(path))
    elif loose := rights_of_others(path):
        try:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~loose)
        except PermissionError:
            log.warning("%s is open to other accounts, and not ours to close: chmod go= it", plain(path))
        else:
            log.warning("%s was open to other accounts of this host, and is closed now", plain(path))


def rights_of_others(path: Path) -> int:
    """Return the mode bits of others. With an ACL, the group bits are its mask, which was set on purpose."""
    return path.stat().st_mode & (stat.S_IRWXO if has_acl(path) else OTHERS)


def has_acl(path: Path) -> bool:
    """Return True if the folder has an ACL, so single accounts have rights to it."""
    with suppress(OSError, AttributeError):  # no such attribute, file system or operating system
        return bool(os.getxattr(path, ACL))
    return False


def is_shared(path: Path) -> bool:
    """Return True for a public folder (like /tmp), or a top-level folder with other content."""
    if path.stat().st_mode & stat.S_ISVTX:
        return True
    at_the_top = path.parent == path.parent.parent
    return at_the_top and path.is_dir() and any(entry not in OWN_NAMES for entry in os.listdir(path))
