"""Secrets in files: the variables with the suffix _FILE, and files that are refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stence import secret_files
from stence.errors import ConfigurationError
from stence.settings import Settings, secret_file_variables

URL = "postgresql://stence:quassel-7261@db/stence"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "database_url"
    path.write_text(f"{URL}\n")
    path.chmod(0o640)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STENCE_DATABASE_URL_FILE", str(path))
    return path


def value() -> str | None:
    found = Settings().database_url
    return found and found.get_secret_value()


def test_a_secret_comes_from_its_file_without_the_line_end(secret: Path) -> None:
    assert value() == URL
    assert "quassel" not in repr(Settings())


def test_a_file_may_be_named_in_dotenv(secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENCE_DATABASE_URL_FILE")
    (tmp_path / ".env").write_text(f"STENCE_DATABASE_URL_FILE={secret}\n")
    assert value() == URL


def test_every_secret_setting_has_a_file() -> None:
    secrets = {"DATABASE_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "FHIR_TOKEN", "PSEUDONYM_KEY"}
    assert secret_file_variables() >= {f"{name}_FILE" for name in secrets}


def test_other_settings_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENCE_STORE_URL_FILE", "/run/secrets/store")
    with pytest.raises(ConfigurationError, match="STENCE_STORE_URL_FILE is no setting of stence"):
        Settings()


def test_value_and_file_together_are_refused(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENCE_DATABASE_URL", "postgresql://other@db/stence")
    with pytest.raises(ConfigurationError, match="are both set: unset one of them"):
        Settings()


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_file_that_others_may_read_or_change_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"open to other accounts: chmod 600 {secret}"):
        Settings()


def test_a_container_shows_its_secrets_to_every_account(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_files, "MOUNTED", secret.parent)
    secret.chmod(0o444)
    assert value() == URL
    secret.chmod(0o446)
    with pytest.raises(ConfigurationError, match="open to other accounts"):
        Settings()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\n", "is empty, or larger"),
        (b"x" * (secret_files.MAX_BYTES + 1), "is empty, or larger"),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(secret: Path, content: bytes | None, said: str) -> None:
    secret.unlink()
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert str(caught.value).startswith(f"STENCE_DATABASE_URL_FILE: {secret} {said}")


def test_a_pipe_is_no_file(secret: Path) -> None:
    secret.unlink()
    os.mkfifo(secret, 0o600)
    with pytest.raises(ConfigurationError, match="is not a file"):
        Settings()


def test_an_empty_value_does_not_hide_the_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENCE_DATABASE_URL", "")
    with pytest.raises(ConfigurationError, match="are both set"):
        Settings()
