"""What tests of several kinds share."""

from __future__ import annotations
