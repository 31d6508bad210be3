"""The list of patients to review as one printable page, for a ward round."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from stence import page
from stence.database import queries
from stence.database.outage import transact
from stence.errors import StoreUnavailableError
from stence.explain.layout import render
from stence.objects import ObjectStore
from stence.retry import retry
from stence.settings import Settings

STYLE = Path(__file__).with_name("ward.css")


@dataclass(frozen=True, slots=True)
class WardList:
    """The list in the store: ``content`` (HTML) under ``key``, and under ``latest`` until the next one."""

    key: str
    latest: str
    patients: int
    content: bytes


def ward_list(connection: Connection, settings: Settings, site: str | None = None) -> tuple[str, int]:
    """Return the list as HTML, in the order of the query ``ward_list``, and the number of patients on it.

    ``site``: only ECGs of this site. Links to pages are relative to the prefix of pages.
    """
    columns, found = queries.run(connection, "ward_list", {"site": site} if site else {})
    zone = ZoneInfo(settings.timezone)
    rows = [_local(dict(zip(columns, row, strict=True)), zone, settings) for row in found]
    more = bool(rows) and rows[0]["more"]
    now = datetime.now(zone)
    body = render("ward.html.j2", rows=rows, more=more, site=site, written_at=now)
    title = f"Patients to review, {now:%Y-%m-%d}"
    return page.page(title, body, STYLE.read_text(encoding="utf-8")), len(rows)


def write_ward_list(engine: Engine, store: ObjectStore, settings: Settings) -> WardList:
    """Write the list of all sites into the store: one of each day, and the newest one.

    Raises StoreUnavailableError and DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    html, patients = transact(engine, settings.outage_seconds, ward_list, settings)
    day = f"{datetime.now(ZoneInfo(settings.timezone)):%Y-%m-%d}"
    key, latest = f"{settings.page_prefix}ward-list-{day}.html", settings.ward_list_key
    for place in (key, latest):
        retry(partial(store.put, place, html.encode()), settings.outage_seconds, StoreUnavailableError)
    return WardList(key, latest, patients, html.encode())


def _local(row: Mapping[str, Any], zone: ZoneInfo, settings: Settings) -> dict[str, Any]:
    """Bring times into the hospital's zone, and the page's key into a link."""
    local = dict(row) | {"remarks": _remarks(row)}
    key = local.pop("page_key")
    if (at := local["acquired_at"]) is not None:
        local["acquired_at"] = at.astimezone(zone)
    return local | {"page": posixpath.relpath(key, settings.page_prefix) if key else None}


def _remarks(row: Mapping[str, Any]) -> list[str]:
    """Return what is known of the patient besides the ECG, in words."""
    remarks = ["unlike the training ECGs"] if row["unlike"] else []
    if row["change"] is not None:
        remarks.append(f"{row['ecgs']} ECGs, risk {100 * row['change']:+.0f} points since the one before")
    if row["last_study_at"] is not None:
        remarks.append(f"cath study {row['last_study_at']:%Y-%m-%d}: {row['last_study_degree']:.0f} %")
    if row["last_review"] is not None:
        remarks.append(f"last review: {row['last_review']}")
    return remarks
