"""From the store to rows: listings, manifests, cath reports, and which numbers are one patient's."""

from __future__ import annotations
