"""Fixtures for every test: the reference data, and an environment free of the developer's own settings."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.database import engine, owner_engine, postgres, settings, store, template
from support.prefect_server import client, prefect_database
from support.pseudonyms import KEY
from support.s3 import s3_bucket, s3_server, s3_settings

# Servers are named here alone: two conftests that name a fixture of the session would start two of them.
__all__ = [
    "client",
    "engine",
    "owner_engine",
    "postgres",
    "prefect_database",
    "s3_bucket",
    "s3_server",
    "s3_settings",
    "settings",
    "shared",
    "store",
    "template",
]

ROOT = Path(__file__).resolve().parents[1]
SEED = 987_654_321

for name in [name for name in os.environ if name.startswith(("STENCE_", "PREFECT_"))]:
    del os.environ[name]

os.environ["STENCE_PSEUDONYM_KEY"] = KEY  # databases are copies of one, whose key all tests share

# Before anything imports Prefect, which reads its settings then and writes into its home.
PREFECT_HOME = TemporaryDirectory(prefix="stence-test-prefect-")
os.environ |= {
    "PREFECT_HOME": PREFECT_HOME.name,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers side by side would take each other's cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes none begins a long file when the others are through: long files come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The command line closes what its process makes to others; a test that calls it goes on as before."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[None]:
    """Nor do its filters of logs, warnings and exceptions stay."""
    factory, uncaught, of_threads = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = uncaught, of_threads


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random weights of a test are the same alone, and after any other; nothing in stence has this seed."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data beside the clone; a user has none, CI must."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the reference data in {folder}")
        pytest.skip("needs the reference data folder ../shared")
    return folder
