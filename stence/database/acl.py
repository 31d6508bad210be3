"""Traverse permission for one account: an entry of a POSIX ACL (``acl(5)``) in the kernel's format."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from stence.private import ACL

VERSION = struct.pack("<I", 2)
ENTRY = struct.Struct("<HHI")
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF
PASS = 0o1
"""Execute permission: traverse a folder, but not list it."""


class Entry(NamedTuple):
    """Rights of the owner, an account, a group, or others; ``number`` is the account's or group's id."""

    tag: int
    rights: int
    number: int = NOBODY


def let_pass(folder: Path, account: int) -> None:
    """Let ``account``, and no other, traverse ``folder``. Raises OSError if the file system has no ACLs."""
    entries = {(entry.tag, entry.number): entry for entry in _entries(folder)}
    mask = entries.pop((MASK, NOBODY), Entry(MASK, 0o7)).rights
    for key, entry in entries.items():  # a wider mask must not grant rights that the old mask withheld
        if entry.tag in {USER, GROUP_OBJ, GROUP}:
            entries[key] = entry._replace(rights=entry.rights & mask)
    had = entries.get((USER, account), Entry(USER, 0)).rights
    entries[USER, account] = Entry(USER, had | PASS, account)
    limited = [entry.rights for entry in entries.values() if entry.tag in {USER, GROUP_OBJ, GROUP}]
    entries[MASK, NOBODY] = Entry(MASK, _union(limited))
    packed = b"".join(ENTRY.pack(*entry) for entry in sorted(entries.values(), key=_order))
    os.setxattr(folder, ACL, VERSION + packed)


def _entries(folder: Path) -> list[Entry]:
    """Read the folder's ACL; without an ACL, return the equivalent of its mode."""
    try:
        packed = os.getxattr(folder, ACL)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        mode = stat.S_IMODE(folder.stat().st_mode)
        return [Entry(USER_OBJ, mode >> 6 & 0o7), Entry(GROUP_OBJ, mode >> 3 & 0o7), Entry(OTHER, mode & 0o7)]
    return [Entry(*values) for values in ENTRY.iter_unpack(packed[len(VERSION) :])]


def _union(rights: list[int]) -> int:
    found = 0
    for right in rights:
        found |= right
    return found


def _order(entry: Entry) -> tuple[int, int]:
    return entry.tag, entry.number
