"""Backup and restore: the database and the store's own part in one archive, and back into an empty place."""

from __future__ import annotations

from stence.backup.creating import BackedUp, back_up
from stence.backup.restoring import Restored, restore

__all__ = ["BackedUp", "Restored", "back_up", "restore"]
