"""Risk models: targets, the network, its calibration and thresholds, and the scorer that uses them."""

from __future__ import annotations

from stence.models.calibration import Calibration
from stence.models.risk import RiskModel
from stence.models.scorer import RiskScorer
from stence.models.targets import TARGET_NAMES, TARGETS, Region, Target, labels
from stence.models.thresholds import Sensitivity, Threshold, Workload

__all__ = [
    "TARGETS",
    "TARGET_NAMES",
    "Calibration",
    "Region",
    "RiskModel",
    "RiskScorer",
    "Sensitivity",
    "Target",
    "Threshold",
    "Workload",
    "labels",
]
