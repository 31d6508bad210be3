"""The command line and the README tell the same story."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from pydantic import ValidationError

from stence.cli import COMMANDS, main
from stence.errors import ConfigurationError
from stence.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(main)
    found = []
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {child}", sub) for child, sub in command.commands.items()]
    return found


@pytest.mark.parametrize(
    ("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_has_help_and_stands_in_the_readme(name: str, command: click.Command) -> None:
    assert command.help
    assert f"stence {name}" in README, f"README.md does not mention `stence {name}`"


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_described_in_the_readme(field: str) -> None:
    assert Settings.model_fields[field].description or field == "data_dir"
    assert f"STENCE_{field.upper()}" in README


def test_quick_start_holds_exactly_the_two_commands() -> None:
    quick_start = README.split("## Quick start")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", quick_start, re.DOTALL)
    assert len(blocks) == 2
    assert "stence practice" in blocks[0]
    assert "pytest" in blocks[1]


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    monkeypatch.setenv("STENCE_BATCH_SIZE", "many-secrets")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "STENCE_BATCH_SIZE" in result.output
    assert "many-secrets" not in result.output


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("STENCE_DATABASE_ULR", "do you mean STENCE_DATABASE_URL?"),
        ("STENCE_STOREURL", "do you mean STENCE_STORE_URL?"),
        ("STENCE_TIME_ZONE", "do you mean STENCE_TIMEZONE?"),
        ("STENCE_QQQ", "README.md lists all settings"),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_misspelt_setting_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, hint: str, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if where == "environment":
        monkeypatch.setenv(name, "secret")
    else:
        Path(".env").write_text(f"OTHER=1\n{name}=secret\n")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert str(caught.value).startswith(f"{name} is no setting of stence: {hint}")
    assert "secret" not in str(caught.value)


def test_variables_of_the_deployments_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENCE_HOME", "/opt/stence")
    Settings()


@pytest.mark.parametrize("zone", ["Europe/Berlinn", "", "../etc"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="no time zone has this name"):
        Settings(timezone=zone)
