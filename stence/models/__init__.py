"""Models: risk model with targets, calibration, thresholds and scorer; SegmentMIL; StenCE's pair."""

from __future__ import annotations

from stence.domain.targets import TARGET_NAMES, TARGETS, Region, Target, labels
from stence.domain.thresholds import Sensitivity, Threshold, Workload
from stence.models.angiographic import ANGIOGRAPHIC_TARGETS, angiographic_targets
from stence.models.calibration import Calibration
from stence.models.certainty import UNLIKE_PERCENT, Certainty
from stence.models.clinical import ClinicalHead, clinical_values
from stence.models.final_blocks import FinalBlocks
from stence.models.finetuned_teacher import FinetunedTeacher
from stence.models.risk import RiskModel
from stence.models.scorer import RiskScorer, Scores
from stence.models.segment_mil import SegmentMIL
from stence.models.shared_space import SharedSpace
from stence.models.stence import EcgStudent, StencePair

__all__ = [
    "ANGIOGRAPHIC_TARGETS",
    "TARGETS",
    "TARGET_NAMES",
    "UNLIKE_PERCENT",
    "Calibration",
    "Certainty",
    "ClinicalHead",
    "EcgStudent",
    "FinalBlocks",
    "FinetunedTeacher",
    "Region",
    "RiskModel",
    "RiskScorer",
    "Scores",
    "SegmentMIL",
    "Sensitivity",
    "SharedSpace",
    "StencePair",
    "Target",
    "Threshold",
    "Workload",
    "angiographic_targets",
    "clinical_values",
    "labels",
]
