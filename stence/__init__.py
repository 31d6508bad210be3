"""Find people with severe coronary stenosis from the ECGs that a hospital already has."""

from __future__ import annotations

__version__ = "0.1.0"
