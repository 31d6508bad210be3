"""What the files for operators say exists: flows, settings, schedules, and each other."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from stence.settings import Settings

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
ENTRIES = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
VARIABLES = {f"STENCE_{field.upper()}" for field in Settings.model_fields} | {"STENCE_HOME"}


def read(name: str) -> str:
    return (DEPLOYMENTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [".env.example", "compose.yaml", "Dockerfile", "prefect.yaml", "README.md", "CHANGELOG.md"]
)
def test_only_settings_that_exist_are_named(name: str) -> None:
    assert set(re.findall(r"STENCE_[A-Z0-9_]*[A-Z0-9]", read(name))) <= VARIABLES


def test_the_example_settings_are_valid(tmp_path: Path) -> None:
    example = tmp_path / ".env"
    example.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", read(".env.example"), flags=re.MULTILINE))
    settings = Settings(_env_file=example)
    assert settings.store_url == "s3://ecg-archive/routine"
    assert settings.timezone == "Europe/Berlin"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_a_deployment_becomes_what_stence_up_serves(entry: dict) -> None:
    from stence.cli.up import deployment

    served = deployment(entry)
    assert (served.name, served.tags) == (entry["name"], entry["tags"])
    (schedule,) = served.schedules
    assert schedule.schedule.cron == entry["schedules"][0]["cron"]
    assert ZoneInfo(schedule.schedule.timezone)
    assert served.concurrency_limit == entry["concurrency_limit"]["limit"]
    assert not served.parameters
