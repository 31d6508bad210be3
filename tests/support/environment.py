"""Settings where commands and flows look for them."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from stence.cli import main
from stence.settings import Settings


def set_environment(patch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Make ``Settings()`` equal to ``settings`` for the time of the test."""
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        patch.setenv(f"STENCE_{name.upper()}", str(plain))


def without_prefect() -> dict[str, str]:
    """This process's environment as a hospital's shell has it: nothing of Prefect is set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command of ``stence`` with these settings."""
    set_environment(monkeypatch, settings)
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def stence_models(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What ``stence models …`` prints."""
    set_environment(monkeypatch, settings)
    return lambda *arguments: CliRunner().invoke(main, ["models", *arguments]).output
