"""The export and an engine that others wrote: Medplum's, from npm, with its store in memory.

It does not resolve conditional references, so patients are pseudonyms here.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from stence import registry
from stence.database.tables import flags
from stence.export import Sent, send_fhir
from stence.objects import ObjectStore
from stence.settings import Settings
from support import synthetic
from support.database import allow_changes
from support.ports import free_port
from support.scoring import all_rows

pytestmark = pytest.mark.slow

MEDPLUM = Path(__file__).parents[1] / "support" / "medplum"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base of a running server; skipped where npm cannot bring it."""
    if not shutil.which("npm"):
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("medplum")
    shutil.copytree(MEDPLUM, folder, dirs_exist_ok=True)
    install = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"npm cannot bring the server: {done.stderr[-200:]}")
    port = free_port()
    with subprocess.Popen(("node", "server.js", str(port)), cwd=folder, stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}/fhir"
        server.kill()


@pytest.fixture
def settings(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"fhir_url": url, "outage_seconds": 0})


def resources(url: str, kind: str) -> list[dict[str, Any]]:
    found = httpx.get(f"{url}/{kind}?_count=1000").json()
    return [entry["resource"] for entry in found["entry"]]


def test_a_real_server_has_each_flag_once_and_its_withdrawal(
    engine: Engine, store: ObjectStore, settings: Settings, url: str
) -> None:
    synthetic.load(engine, ecgs=300, patients=40)
    number = sum(state == "open" for _, state in all_rows(engine, flags.c.id, flags.c.state))

    assert send_fhir(engine, store, settings) == Sent(number, 0, 0, 0)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM flag_exports")  # nobody remembers the first time
    assert send_fhir(engine, store, settings) == Sent(number, 0, 0, 0)
    risks = resources(url, "RiskAssessment")
    assert len(risks) == len(resources(url, "Provenance")) == number
    assert len(resources(url, "Device")) == 1
    assert {each["status"] for each in risks} == {"final"}
    for risk in risks:  # every reference leads to a resource
        for reference in (risk["performer"], *risk["basis"]):
            assert httpx.get(f"{url}/{reference['reference']}").status_code == 200

    with engine.begin() as connection:
        allow_changes(connection)
        # It has flags of its own, which are not what this is about.
        connection.exec_driver_sql("DELETE FROM scores WHERE model_version = 'synthetic-1'")
        registry.rollback(connection, by="ada", why="worse")
    assert send_fhir(engine, store, settings) == Sent(0, 0, number, 0)
    assert {each["status"] for each in resources(url, "RiskAssessment")} == {"entered-in-error"}
    assert len(resources(url, "RiskAssessment")) == number
