"""Secrets in files: Docker and Kubernetes mount them as files, so that no environment holds them."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from stence.errors import ConfigurationError

SUFFIX = "_FILE"
MOUNTED = Path("/run/secrets")
"""Containers see their secrets here, readable for every account in the container."""
MAX_BYTES = 2**16


class SecretFiles(PydanticBaseSettingsSource):
    """Settings source: reads the secret setting ``X`` from the file that the variable ``X_FILE`` names.

    Raises ConfigurationError if both variables are set, or the file cannot be used.
    """

    def __init__(
        self, settings: type[BaseSettings], prefix: str, variables: Mapping[str, str | None]
    ) -> None:
        super().__init__(settings)
        self._prefix = prefix
        self._variables = {name.upper(): value for name, value in variables.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See PydanticBaseSettingsSource."""
        name = f"{self._prefix}{field_name}".upper()
        path = self._variables.get(name + SUFFIX)
        if not is_secret(field) or not path:
            return None, field_name, False
        if self._variables.get(name) is not None:  # an empty one would hide the file
            raise ConfigurationError(f"{name} and {name}{SUFFIX} are both set: unset one of them")
        return read_secret(Path(path), name + SUFFIX), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the secrets that files hold, by the names of their settings."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """True for a setting whose value is a secret."""
    return field.annotation in (SecretStr, SecretStr | None)


def read_secret(path: Path, variable: str) -> str:
    """Return the text of a file without the line end at its end.

    Raises ConfigurationError if the file is missing, empty, too large, no text, or open to other accounts.
    """
    try:
        _check_mode(path, path.stat().st_mode, variable)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"{variable}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{variable}: {path} is not text in UTF-8") from None
    if not text or len(content) > MAX_BYTES:
        raise ConfigurationError(f"{variable}: {path} is empty, or larger than {MAX_BYTES} bytes")
    return text


def _check_mode(path: Path, mode: int, variable: str) -> None:
    """Raise ConfigurationError for a file that others may change, or read outside a container's secrets."""
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{variable}: {path} is not a file")
    readable = 0 if path.is_relative_to(MOUNTED) else stat.S_IROTH
    if mode & (stat.S_IWGRP | stat.S_IWOTH | readable):
        raise ConfigurationError(f"{variable}: {path} is open to other accounts: chmod 600 {path}")
