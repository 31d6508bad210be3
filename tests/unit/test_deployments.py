"""What the files for operators say exists: flows, settings, schedules, and each other."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from stence.settings import Settings, variables

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
ENTRIES = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
VARIABLES = {f"STENCE_{name}" for name in variables()} | {"STENCE_HOME"}


def read(name: str) -> str:
    return (DEPLOYMENTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        "automations.yaml",
        "compose.yaml",
        "Dockerfile",
        "prefect.yaml",
        "README.md",
        "REFERENCE.md",
        "CHANGELOG.md",
    ],
)
def test_only_settings_that_exist_are_named(name: str) -> None:
    assert set(re.findall(r"STENCE_[A-Z0-9_]*[A-Z0-9]", read(name))) <= VARIABLES


def test_the_example_settings_are_valid(tmp_path: Path) -> None:
    example = tmp_path / ".env"
    example.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", read(".env.example"), flags=re.MULTILINE))
    settings = Settings(_env_file=example)
    assert settings.store_url == "s3://ecg-archive/routine"
    assert settings.timezone == "Europe/Berlin"


def test_automations_watch_the_flows_that_are_deployed() -> None:
    watched = yaml.safe_load(read("automations.yaml"))["automations"]
    names = [
        automation["trigger"].get("match_related", {}).get("prefect.resource.name") for automation in watched
    ]
    deployed = {entry["entrypoint"].rpartition(".")[2] for entry in ENTRIES}
    assert set(names[1]) == deployed
    assert names[2] in deployed


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_a_deployment_becomes_what_stence_up_serves(entry: dict) -> None:
    from stence.cli.serving import deployment

    served = deployment(entry)
    assert (served.name, served.tags) == (entry["name"], entry["tags"])
    (schedule,) = served.schedules
    assert schedule.schedule.cron == entry["schedules"][0]["cron"]
    assert ZoneInfo(schedule.schedule.timezone)
    assert served.concurrency_limit == entry["concurrency_limit"]["limit"]
    assert served.parameters == entry["parameters"]


def test_the_hourly_run_leaves_the_archive_to_its_own_deployment() -> None:
    parameters = {entry["name"]: entry["parameters"] for entry in ENTRIES}
    assert parameters["score-hourly"] == {"portion": "new"}
    assert parameters["archive"] == {}
