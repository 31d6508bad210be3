"""Basic types and rules for all packages: patient numbers, targets, times, text. No torch, SQL or files."""

from __future__ import annotations
