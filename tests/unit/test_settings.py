"""Settings that are wrong are refused in words, and no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from stence.cli import main
from stence.errors import ConfigurationError
from stence.settings import Settings


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
        ("STENCE_QQQ", "deployments/REFERENCE.md lists all settings"),
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
