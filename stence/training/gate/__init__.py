"""The gate: decide with reasons whether a challenger may score beside the champion.

Both models are evaluated per patient on the same test patients, by the decisive target. Two questions are
kept apart. *Not worse*: a challenger passes if it is shown to lose less than a margin, which follows from the
sample. *Better*: only a challenger that is shown to be better may replace the champion by itself. Where the
sample is too small for an answer, the gate says so.
"""

from __future__ import annotations

from stence.domain.checks import Check, Result, Verdict
from stence.training.gate.config import GateConfig
from stence.training.gate.judge import Circumstances, judge
from stence.training.gate.selection import without_luck

__all__ = ["Check", "Circumstances", "GateConfig", "Result", "Verdict", "judge", "without_luck"]
