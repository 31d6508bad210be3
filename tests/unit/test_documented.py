"""The command line and the README tell the same story."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from stence.cli import COMMANDS, main
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
