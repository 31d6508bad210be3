"""The key of pseudonyms: from the settings, or from a private file that is made at first use.

It is never in Postgres: a stolen dump without the key names no patient.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stence import private
from stence.domain.pseudonyms import KEY_BYTES, Pseudonyms
from stence.errors import ConfigurationError

if TYPE_CHECKING:
    from stence.settings import Settings

FILE_NAME = "pseudonym.key"
MAX_KEY_BYTES = 4096


def load_pseudonyms(settings: Settings) -> Pseudonyms:
    """Return the pseudonyms of this installation; a new key is drawn where there is none.

    Raises ConfigurationError if the file of the key cannot be used.
    """
    return Pseudonyms.by(find_key(settings) or keep_key(settings, draw_key()))


def find_key(settings: Settings) -> str | None:
    """Return the key of the settings, else of its file; None if there is neither."""
    if settings.pseudonym_key is not None:
        return settings.pseudonym_key.get_secret_value()
    return read_key(key_file(settings))


def key_file(settings: Settings) -> Path:
    """Return where the key is kept."""
    return settings.data_dir / FILE_NAME


def draw_key() -> str:
    """Return a new key, 256 random bits."""
    return secrets.token_hex(KEY_BYTES)


def read_key(path: Path) -> str | None:
    """Return the key in a file; None if the file is missing. Raises ConfigurationError if it is unusable."""
    try:
        with path.open("rb") as file:
            key = file.read(MAX_KEY_BYTES + 1).decode().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key of pseudonyms in {path} cannot be read: {error}.") from None
    if not key or len(key) > MAX_KEY_BYTES:
        raise ConfigurationError(f"{path} holds no key of pseudonyms: it is empty or too long.")
    return key


def keep_key(settings: Settings, key: str) -> str:
    """Write the key into its file. Return the key there, which another process may have written first."""
    write_key(key_file(settings), key)
    return read_key(key_file(settings)) or key


def write_key(path: Path, key: str, *, replace: bool = False) -> None:
    """Write a private file of the key whole, unless there is one that may not be replaced."""
    private.make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # for this account alone
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    if replace:
        os.replace(name, path)
        return
    with suppress(FileExistsError):
        os.link(name, path)  # fails where the file exists, unlike a rename
    os.unlink(name)
