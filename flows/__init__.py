"""The Prefect flows: each reads like the line of the README's picture that it runs."""

from __future__ import annotations
