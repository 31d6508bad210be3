"""The cath studies most similar to an ECG, in the space shared by ECGs and angiograms."""

from __future__ import annotations

from stence.similar.asking import similar_to_ecg
from stence.similar.extension import enable, hindrance
from stence.similar.studies import SimilarStudies, SimilarStudy, similar_studies, store_studies
from stence.similar.wording import html

__all__ = [
    "SimilarStudies",
    "SimilarStudy",
    "enable",
    "hindrance",
    "html",
    "similar_studies",
    "similar_to_ecg",
    "store_studies",
]
