"""Validation of a frozen model on patients that it did not learn from, with a report after TRIPOD+AI."""

from __future__ import annotations

from stence.validation.config import ValidationConfig
from stence.validation.imported import judge_imported
from stence.validation.run import Validation, validate

__all__ = ["Validation", "ValidationConfig", "judge_imported", "validate"]
