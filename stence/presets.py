"""Configurations in YAML files: presets of the product, or a hospital's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stence.errors import ConfigurationError

Config = TypeVar("Config", bound=BaseModel)

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


def read_config(name_or_path: str, presets: Path, model: type[Config], what: str) -> Config:
    """Read a configuration of ``what``: a preset of this name in the folder ``presets``, or a YAML file.

    Raises ConfigurationError, which names every key that is unknown, missing or has an invalid value.
    """
    names = sorted(path.stem for path in presets.glob("*.yaml"))
    path = presets / f"{name_or_path}.yaml" if name_or_path in names else Path(name_or_path)
    try:
        return model.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigurationError(
            f"There is no preset {name_or_path!r} and no readable file of this name ({error.strerror}); "
            f"presets: {', '.join(names)}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        problems = [f"{path} is not a {what} configuration:", *map(in_words, error.errors())]
        raise ConfigurationError("\n  ".join(problems)) from None


def in_words(found: ErrorDetails) -> str:
    """Describe an error in a configuration: place and cause."""
    place = ".".join(map(str, found["loc"])) or "the file"
    return f"{place}: {'there is no such key' if found['type'] in UNKNOWN_KEY else found['msg']}"
