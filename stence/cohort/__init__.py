"""Cohorts: ECGs paired with the cath reports after them, split by patient, stored for training."""

from __future__ import annotations

from stence.cohort.angiogram_gathering import gather_angiograms
from stence.cohort.angiograms import Angiograms, ViewBatch, read_angiograms
from stence.cohort.dataset import Cohort, StudyTable, read_cohort
from stence.cohort.gathering import gather
from stence.cohort.held_out import SplitConfig, hold_out
from stence.cohort.pairing import Pairing, Plan, plan_cohort
from stence.cohort.pairs import new_pairs
from stence.cohort.part import Part
from stence.cohort.ready import FeatureSet
from stence.domain.referral import Referral
from stence.domain.splits import Split, split_of
from stence.ingest.report_tables import index_reports
from stence.ingest.reports import Reports, Study, read_reports

__all__ = [
    "Angiograms",
    "Cohort",
    "FeatureSet",
    "Pairing",
    "Part",
    "Plan",
    "Referral",
    "Reports",
    "Split",
    "SplitConfig",
    "Study",
    "StudyTable",
    "ViewBatch",
    "gather",
    "gather_angiograms",
    "hold_out",
    "index_reports",
    "new_pairs",
    "plan_cohort",
    "read_angiograms",
    "read_cohort",
    "read_reports",
    "split_of",
]
