"""Plain vocabulary that every room shares: patient numbers, times, text. No torch, no SQL, no files."""

from __future__ import annotations
