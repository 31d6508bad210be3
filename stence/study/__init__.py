"""Studies that measure the gain of StenCE's pretraining on a hospital's own data."""

from __future__ import annotations

from stence.study.config import StudyConfig, load_study
from stence.study.run import Report, run_study

__all__ = ["Report", "StudyConfig", "load_study", "run_study"]
