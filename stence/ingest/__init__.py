"""Import from the store into Postgres: ECG listings, manifests, cath reports and merged patient numbers."""

from __future__ import annotations
