"""Which part of the store an index lists: all, the last days, or files that other systems announced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from stence.database.queries import among
from stence.database.tables import announced_objects, store_listings
from stence.errors import ObjectError, ObjectNotFoundError
from stence.ingest.grouping import record_key
from stence.objects import ObjectStore, StoredObject
from stence.objects.store import Skipped
from stence.settings import Settings

Extent = Literal["full", "days", "announced"]

ANNOUNCEMENTS_TOGETHER = 1000


def extent_due(connection: Connection, settings: Settings) -> Extent:
    """Return the extent of the next listing: full after ``full_listing_hours``, else that of the settings."""
    if settings.listing == "full":
        return "full"
    last = last_full(connection, settings)
    late = datetime.now(UTC) - timedelta(hours=settings.full_listing_hours)
    return "full" if last is None or last < late else settings.listing


def last_full(connection: Connection, settings: Settings) -> datetime | None:
    """Return the end of the last full listing of ``ecg_prefix``; None if there was none."""
    listings = store_listings.c
    ended = select(func.max(listings.finished_at))
    return connection.scalar(ended.where(listings.extent == "full", listings.prefix == settings.ecg_prefix))


def note(
    connection: Connection, extent: Extent, settings: Settings, started_at: datetime, counts: dict[str, int]
) -> None:
    """Record a listing that is complete; ``counts`` are its ``ecgs``, ``new`` and ``changed``."""
    about = {"extent": extent, "prefix": settings.ecg_prefix, "started_at": started_at}
    connection.execute(insert(store_listings).values(**about, **counts, finished_at=func.clock_timestamp()))


def day_prefixes(settings: Settings, now: datetime | None = None) -> list[str]:
    """Return the prefixes of the last days, and of tomorrow: devices and store may be in other time zones.

    >>> from datetime import UTC, datetime
    >>> day_prefixes(Settings(listing_days=0), datetime(2026, 3, 1, tzinfo=UTC))
    ['ecg/2026/03/01/', 'ecg/2026/03/02/']
    """
    today = (now or datetime.now(UTC)).astimezone(ZoneInfo(settings.timezone)).date()
    days = (today + timedelta(days=number) for number in range(-settings.listing_days, 2))
    return sorted({f"{settings.ecg_prefix}{day:{settings.day_prefix}}" for day in days})


def of_days(store: ObjectStore, prefixes: Iterable[str], skipped: Skipped) -> Iterator[StoredObject]:
    """Yield the objects below the sorted ``prefixes``, in the order of their keys."""
    for prefix in prefixes:
        yield from store.list(prefix, skipped)


def announcements(connection: Connection) -> list[Row[tuple[int, str]]]:
    """Return the next announcements: number and key."""
    columns = announced_objects.c
    chosen = select(columns.id, columns.key).order_by(columns.id)
    return list(connection.execute(chosen.limit(ANNOUNCEMENTS_TOGETHER)))


def forget(connection: Connection, ids: list[int]) -> None:
    """Remove announcements that were followed."""
    connection.execute(delete(announced_objects).where(among(announced_objects.c.id, ids)))


def of_keys(store: ObjectStore, keys: Iterable[str], skipped: Skipped) -> Iterator[StoredObject]:
    """Yield the files of the records to which ``keys`` belong, in the order of their keys.

    Files of a record share a version, so all are listed if one was announced.
    """
    for stem, names in sorted(_by_record(keys).items()):
        if stem in names:
            yield from _looked_up(store, [stem], skipped)
        for item in store.list(f"{stem}.", skipped):
            if record_key(item.key) == stem:
                yield item


def manifests_above(
    store: ObjectStore, places: Iterable[str], name: str, settings: Settings, skipped: Skipped
) -> Iterator[StoredObject]:
    """Yield manifests called ``name`` in the folders of ``places``, which are keys or prefixes, and above.

    They can name the patients of ECGs in any folder below.
    """
    top = settings.ecg_prefix.rstrip("/")
    folders = {folder for place in places for folder in _folders(place, top)}
    yield from _looked_up(store, [f"{folder}/{name}" for folder in sorted(folders)], skipped)


def _folders(place: str, top: str) -> Iterator[str]:
    folder = place.rpartition("/")[0]
    while folder and folder.startswith(top):
        yield folder
        folder = folder.rpartition("/")[0]


def _by_record(keys: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key in keys:
        found.setdefault(record_key(key), set()).add(key)
    return found


def _looked_up(store: ObjectStore, keys: Iterable[str], skipped: Skipped) -> Iterator[StoredObject]:
    for key in keys:
        try:
            yield store.head(key)
        except ObjectNotFoundError:
            continue
        except ObjectError:
            skipped(key)
