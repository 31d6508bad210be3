"""What several files of integration tests ask for."""

from __future__ import annotations

from support.environment import stence, stence_models
from support.exporting import few
from support.fhir import fhir_server
from support.forgetting import two_patients
from support.scoring import score_all

__all__ = [
    "few",
    "fhir_server",
    "score_all",
    "stence",
    "stence_models",
    "two_patients",
]
