"""Contents of the last report, stored as JSON beside it, so that the next report can show changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from stence.monitoring.report.answers import Answer
from stence.objects import ObjectStore

LIMIT_BYTES = 2**20
NAME = "report-{day}.{kind}"
DATED = re.compile(r"report-(\d{4}-\d\d-\d\d)\.json")


@dataclass(frozen=True, slots=True)
class Previous:
    """A report's day, its time of writing, and its key metrics by title."""

    day: date
    made_at: datetime
    figures: Mapping[str, float]


def kept(day: date, made_at: datetime, key_figures: Answer) -> bytes:
    """The contents that the next report compares with, as JSON."""
    found: dict[str, Any] = {
        "day": day.isoformat(),
        "made_at": made_at.isoformat(),
        "figures": {record["title"]: record["value"] for record in key_figures.records()},
    }
    return json.dumps(found, indent=1, sort_keys=True).encode()


def find_previous(store: ObjectStore, prefix: str, day: date) -> Previous | None:
    """The newest report of a day before ``day``."""
    days = (DATED.fullmatch(each.key.removeprefix(prefix)) for each in store.list(f"{prefix}report-"))
    earlier = [found[1] for found in days if found and found[1] < day.isoformat()]
    if not earlier:
        return None
    content = store.get(prefix + NAME.format(day=max(earlier), kind="json"), limit_bytes=LIMIT_BYTES)
    found = json.loads(content)
    return Previous(
        date.fromisoformat(found["day"]), datetime.fromisoformat(found["made_at"]), found["figures"]
    )
