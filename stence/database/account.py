"""The system account that runs the embedded Postgres if stence runs as root: Postgres refuses to run as root.

For other users the server runs under their own account, and the functions here do nothing.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from stence.database import acl
from stence.discretion import plain
from stence.errors import DatabaseUnavailableError
from stence.private import close

logger = logging.getLogger(__name__)

SYSTEM_USER = "stence_postgres"


def server_account() -> pwd.struct_passwd | None:
    """Return the account, created at first use; None if we are not root."""
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
            f"Postgres does not run as root, and the account {SYSTEM_USER} could not be created for it: "
            "create it, or run stence as another user."
        ) from None


def give(path: Path) -> None:
    """Make the account the owner of ``path``."""
    if account := server_account():
        os.chown(path, account.pw_uid, account.pw_gid)


def let_pass(*folders: Path) -> None:
    """Give the account, and no other, the right to traverse these folders and all their parents.

    The account may not list them. Raises DatabaseUnavailableError if the file system has no ACLs.
    """
    account = server_account()
    if account is None:
        return
    above = {path for folder in folders for path in (folder, *folder.parents)}
    for path in sorted(above, key=lambda path: len(path.parts)):
        if _may_traverse(account, path):
            continue
        try:
            acl.let_pass(path, account.pw_uid)
        except OSError as error:
            raise DatabaseUnavailableError(
                f"The embedded Postgres runs as {SYSTEM_USER}, because it refuses to run as root, and that "
                f"account cannot pass through {path}: it has no permission there, and no ACL can be set "
                f"({error.strerror}). Run stence as another user than root, or set STENCE_DATA_DIR to a "
                "folder that the account can reach."
            ) from error
        logger.warning("let the account %s, and only it, pass through %s", plain(SYSTEM_USER), plain(path))


def _may_traverse(account: pwd.struct_passwd, folder: Path) -> bool:
    """True if the account may traverse the folder. The kernel decides, by mode and ACL."""
    asked = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", 'test -x "$1"', "sh", folder],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return asked.returncode == 0


def make_private_folder(folder: Path) -> None:
    """Create a folder for the account alone. Raises DatabaseUnavailableError if another user owns it."""
    account = server_account()
    owner = account.pw_uid if account else os.geteuid()
    if not folder.exists():
        folder.mkdir(mode=0o700)
        give(folder)
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise DatabaseUnavailableError(f"{folder} belongs to someone else: remove it.")
    close(folder)
