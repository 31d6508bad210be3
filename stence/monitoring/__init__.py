"""Whether what the models see, say and achieve is still what it was: figures a day, and alerts about them."""

from __future__ import annotations
