"""What the files for operators say exists: flows, settings, schedules, and each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stence.settings import PREFIX, Settings, secret_file_variables, variables

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
ENTRIES = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
VARIABLES = {f"{PREFIX}{name}" for name in (*variables(), *secret_file_variables(), "HOME")}


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


def watched_tags(file: str) -> list[set[str]]:
    """The tags of runs that each automation on runs matches."""
    triggers = [automation["trigger"] for automation in yaml.safe_load(read(file))["automations"]]
    related = [trigger["match_related"] for trigger in triggers if "match_related" in trigger]
    return [
        {
            each["prefect.resource.id"].removeprefix("prefect.tag.")
            for each in ([found] if isinstance(found, dict) else found)
        }
        for found in related
    ]


def test_automations_match_the_tags_of_the_deployments() -> None:
    assert watched_tags("automations.yaml") == [{"stence"}, {"stence", "score"}]
    assert watched_tags("lost-runs.yaml") == [{"stence"}, {"stence"}]
    tags = {entry["name"]: set(entry["tags"]) for entry in ENTRIES}
    assert all("stence" in each for each in tags.values())
    assert [name for name, each in tags.items() if "score" in each] == ["score-hourly"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_a_deployment_becomes_what_stence_up_serves(entry: dict) -> None:
    from stence.cli.serving import deployment

    served = deployment(entry, "Europe/Berlin")
    assert (served.name, served.tags) == (entry["name"], entry["tags"])
    assert [each.schedule.cron for each in served.schedules] == [each["cron"] for each in entry["schedules"]]
    assert {each.schedule.timezone for each in served.schedules} <= {"Europe/Berlin"}
    assert {each["timezone"] for each in entry["schedules"]} <= {"{{ $STENCE_TIMEZONE }}"}
    assert served.concurrency_limit == entry["concurrency_limit"]["limit"]
    assert served.parameters == entry["parameters"]


def test_the_hourly_run_leaves_the_archive_to_its_own_deployment() -> None:
    parameters = {entry["name"]: entry["parameters"] for entry in ENTRIES}
    assert parameters["score-hourly"] == {"portion": "new"}
    assert parameters["archive"] == {}
