"""Finds people with severe coronary stenosis from the ECGs a hospital already has."""

from __future__ import annotations

__version__ = "0.1.0"
