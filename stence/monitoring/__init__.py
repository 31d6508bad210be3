"""Monitoring of inputs, scores and outcomes: daily metrics in the database, and alerts by rules."""

from __future__ import annotations
