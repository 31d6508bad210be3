"""Integration tests have a real Postgres, and a real Prefect server where they ask for one."""

from __future__ import annotations

from support.database import engine, owner_engine, postgres, settings, store
from support.environment import stence_models
from support.exporting import few
from support.fhir import fhir_server
from support.forgetting import two_patients
from support.prefect_server import client, prefect_database
from support.scoring import score_all

__all__ = [
    "client",
    "engine",
    "few",
    "fhir_server",
    "owner_engine",
    "postgres",
    "prefect_database",
    "score_all",
    "settings",
    "stence_models",
    "store",
    "two_patients",
]
