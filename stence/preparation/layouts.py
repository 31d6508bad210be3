"""Layouts of tables, which a hospital declares in ``ecg_layouts.yaml`` below the prefix of ECGs."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml
from pydantic import TypeAdapter, ValidationError

from stence.discretion import plain
from stence.ecg.formats.tables import Layout
from stence.errors import ConfigurationError, ObjectError, ObjectNotFoundError, StoreUnavailableError
from stence.objects.store import ObjectStore
from stence.retry import retry

if TYPE_CHECKING:
    from stence.settings import Settings

log = logging.getLogger(__name__)

NAME = "ecg_layouts.yaml"
MAX_BYTES = 2**16
MAX_LAYOUTS = 200
MAX_BRACKETS = 4 * MAX_LAYOUTS
"""PyYAML takes time by the square of the depth of brackets."""

_ALL = TypeAdapter(list[Layout])


def read_layouts(store: ObjectStore, settings: Settings) -> tuple[Layout, ...]:
    """Return the declared layouts, with prefixes of whole keys.

    If they cannot be read, there are none, and an error in the log. Raises StoreUnavailableError after
    ``settings.outage_seconds``.
    """
    key = f"{settings.ecg_prefix}{NAME}"
    try:
        content = retry(lambda: store.get(key, MAX_BYTES), settings.outage_seconds, StoreUnavailableError)
        layouts = parse(content)
    except ObjectNotFoundError:
        return ()
    except (ObjectError, ConfigurationError) as error:
        log.error("no table is read until %s is mended: %s", plain(NAME), error, extra={"object_key": key})
        return ()
    return tuple(replace(each, prefix=settings.ecg_prefix + each.prefix) for each in layouts)


def parse(content: bytes) -> tuple[Layout, ...]:
    """Parse declared layouts. Raises ConfigurationError with the first mistake."""
    try:
        text = content.decode("utf-8-sig")
        if text.count("[") + text.count("{") > MAX_BRACKETS:
            raise ConfigurationError(f"it has more than {MAX_BRACKETS} brackets")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigurationError("aliases (*) are not read; write each layout out")
        layouts = _ALL.validate_python(yaml.safe_load(text) or [])
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = " ".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"layout {place}: {first['msg']}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ConfigurationError("it is no YAML in UTF-8") from None
    if len(layouts) > MAX_LAYOUTS:
        raise ConfigurationError(f"it has {len(layouts)} layouts, at most {MAX_LAYOUTS} are read")
    return tuple(layouts)
