"""The account that runs the embedded Postgres where we are root, which Postgres refuses to be.

Everywhere else the server runs under our own account, and nothing here does anything.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from stence.errors import DatabaseUnavailableError

logger = logging.getLogger(__name__)

SYSTEM_USER = "stence_postgres"


def server_account() -> pwd.struct_passwd | None:
    """The account, made when it is first needed; None where we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        subprocess.run([useradd, "--system", "--no-create-home", SYSTEM_USER], check=False)  # noqa: S603
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise DatabaseUnavailableError(
            f"Postgres does not run as root, and the account {SYSTEM_USER} could not be made for it: "
            "make it, or run stence as another user."
        ) from None


def give(path: Path) -> None:
    """Make the account the owner."""
    if account := server_account():
        os.chown(path, account.pw_uid, account.pw_gid)


def let_through(*folders: Path) -> None:
    """Let the account pass (not list) these folders and all above them."""
    if server_account() is None:
        return
    for path in {path for folder in folders for path in (folder, *folder.parents)}:
        mode = path.stat().st_mode
        if not mode & 0o001:
            logger.info("letting other accounts pass through %s, for the embedded Postgres", path)
            path.chmod(mode | 0o001)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only the account enters. Raises DatabaseUnavailableError if it is another's."""
    account = server_account()
    owner = account.pw_uid if account else os.geteuid()
    if not folder.exists():
        folder.mkdir(mode=0o700)
        give(folder)
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise DatabaseUnavailableError(f"{folder} belongs to someone else: remove it.")
