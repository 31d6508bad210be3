"""What the flows find in tests on a real Prefect server."""

from __future__ import annotations

import numpy as np
import pytest

from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.ecgs import heartbeats, manifest, store_ecg
from support.environment import set_environment

PATIENTS = [f"PAT-{number:08}" for number in range(70_000_001, 70_000_009)]


def eight_ecgs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store with eight ECGs, one of them flat, that the flows find by their settings."""
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_OUTAGE_SECONDS", "0")
    monkeypatch.setenv("STENCE_SHARD_SIZE", "3")
    store = open_store(settings.resolved_store_url, settings)
    for number, patient in enumerate(PATIENTS):
        signal = heartbeats(number) if number else np.zeros((12, 5000), np.int16)
        store_ecg(store, f"ecg/{patient}/rest.hea", signal)
    rows = [(patient, "2026-03-01 08:30:00", f"{patient}/rest") for patient in PATIENTS]
    store.put("ecg/record_list.csv", manifest(rows))
    return store
