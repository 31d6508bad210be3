"""Cohorts: cath reports paired with the ECGs before them, split by patient, kept ready for training."""

from __future__ import annotations

from stence.cohort.dataset import Cohort, Part
from stence.cohort.gathering import gather
from stence.cohort.pairing import Pairing, Plan, plan_cohort
from stence.cohort.reports import Reports, Study, read_reports
from stence.cohort.splits import Split, split_of

__all__ = [
    "Cohort",
    "Pairing",
    "Part",
    "Plan",
    "Reports",
    "Split",
    "Study",
    "gather",
    "plan_cohort",
    "read_reports",
    "split_of",
]
