"""``deployments/compose.yaml``: secrets come from files, and the server asks for a password."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.documents import ROOT

DEPLOYMENTS = ROOT / "deployments"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text())
SECRET = re.compile(r"PASSWORD|AUTH|KEY|TOKEN|DATABASE_URL|CONNECTION_URL")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    script = shutil.copy(DEPLOYMENTS / "make-secrets.sh", tmp_path)
    subprocess.run(["sh", script], check=True)
    return tmp_path / "secrets"


def through_entrypoint(*command: str, **variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], **variables}
    arguments = ["sh", DEPLOYMENTS / "entrypoint.sh", *command]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_secret_is_a_mounted_file(service: str) -> None:
    described = COMPOSE["services"][service]
    for name, value in described["environment"].items():
        if SECRET.search(name):
            assert name.endswith("_FILE"), name
            assert value.removeprefix("/run/secrets/") in described["secrets"]


def test_the_server_and_its_clients_have_the_same_password() -> None:
    services = COMPOSE["services"]
    server = services["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING_FILE"]
    for client in ("prefect", "deployments", "worker"):
        assert services[client]["environment"]["PREFECT_API_AUTH_STRING_FILE"] == server


def test_the_passwords_are_drawn_once_and_fit_each_other(secrets: Path) -> None:
    assert {path.name for path in secrets.iterdir()} == COMPOSE["secrets"].keys()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    password = (secrets / "postgres_password").read_text()
    assert len(password) == 48
    assert (secrets / "database_url").read_text() == f"postgresql://stence:{password}@postgres/stence"
    assert re.fullmatch(r"stence:[0-9a-f]{48}", (secrets / "prefect_auth").read_text())
    again = subprocess.run(["sh", secrets.parent / "make-secrets.sh"], check=False, capture_output=True)
    assert again.returncode
    assert (secrets / "postgres_password").read_text() == password


def test_prefect_gets_its_secrets_from_files_and_no_argument_shows_them(secrets: Path) -> None:
    file = secrets / "prefect_auth"
    shown = through_entrypoint(
        "sh",
        "-c",
        'echo "$PREFECT_API_AUTH_STRING"; cat /proc/self/cmdline',
        PREFECT_API_AUTH_STRING_FILE=str(file),
    )
    value, arguments = shown.split("\n", 1)
    assert value == file.read_text()
    assert value not in arguments


def test_paths_of_prefect_stay_paths(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificate")
    certificate = str(tmp_path / "ca.pem")
    shown = through_entrypoint(
        "sh", "-c", 'echo "$PREFECT_API_SSL_CERT_FILE"', PREFECT_API_SSL_CERT_FILE=certificate
    )
    assert shown == f"{certificate}\n"
