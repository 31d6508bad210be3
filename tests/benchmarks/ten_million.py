"""What an archive of ten million ECGs costs: the same statements beside those of a small archive, in one run.

    python tests/benchmarks/ten_million.py [--ecgs 10000000] [--small 100000] [--folder FOLDER]

``--folder`` keeps the large archive's data folder: a second run reads it and makes nothing anew. The archive
takes some 40 GB there, half of it WAL that Postgres keeps for reuse.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest import mock

from sqlalchemy import Engine, event, text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database import queries
from stence.errors import ObjectNotFoundError
from stence.ingest import indexing, listing
from stence.monitoring.daily import watch
from stence.monitoring.report.answers import ask_everything
from stence.objects import ObjectStore, StoredObject
from stence.progress import silent
from stence.scoring.work import Worklist
from stence.settings import Settings
from support.database import server_folder

SCRIPT = Path(__file__).with_suffix(".sql")
UNTIL = date(2026, 11, 29)
PER_DAY, NEW = 2880, 500
ROUNDS, CLAIMS, BATCH = 7, 200, 256
SCORERS, SCORING_SECONDS = (1, 2, 4, 8), 8.0
MODEL = """
INSERT INTO models
SELECT '{name}', 'candidate', folder, sha256, preprocessing_version, manifest, now() + interval '1 day'
FROM models WHERE version = 'champion'
"""
RUN = """
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host)
VALUES (:id, :model, 'p1', 'running', '0', 'cpu', 'here')
"""
DONE = """
UPDATE worklist SET state = 'scored', lease_expires_at = NULL, changed_at = now()
WHERE run_id = :run AND state = 'leased'
"""
FULL_LISTING = """
INSERT INTO store_listings (extent, prefix, started_at, ecgs, new, changed)
VALUES ('full', 'ecg/', now(), 0, 0, 0)
"""
SIZES = """
SELECT relname, pg_table_size(oid) / 1e9, pg_indexes_size(oid) / 1e9
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY pg_total_relation_size(oid) DESC LIMIT 8
"""


class Row(NamedTuple):
    """A line of the table: what was measured, its value and unit, and the bound."""

    what: str
    value: float
    unit: str
    bound: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with archive(options.small) as engine:
        small = list(measured(engine, options.small))
    with archive(options.ecgs, options.folder) as engine:
        large = list(measured(engine, options.ecgs))
        print(f"\n{'what':<52}{options.small:>13,}{options.ecgs:>14,}   ratio   bound")
        for before, after in zip(small, large, strict=True):
            bound = "" if after.bound is None else f"{after.bound:g} {after.unit}"
            ratio = after.value / before.value if before.value else float("nan")
            values = f"{before.value:>10.2f} {before.unit:<3}{after.value:>10.2f} {after.unit:<3}"
            print(f"{after.what:<52}{values}{ratio:>7.2f}   {bound}")
        print(f"\n{'table':<24}{'GB':>8}{'indexes GB':>12}")
        with engine.connect() as connection:
            for name, table, indexes in connection.execute(text(SIZES)):
                print(f"{name:<24}{table:>8.2f}{indexes:>12.2f}")
            total = connection.scalar(text("SELECT pg_database_size(current_database()) / 1e9"))
        print(f"whole database: {total:.1f} GB")


@contextmanager
def archive(ecgs: int, folder: Path | None = None) -> Iterator[Engine]:
    """A database with so many scored ECGs; in ``folder``, or a temporary one."""
    if folder is None:
        with server_folder() as temporary, filled(temporary, ecgs) as engine:
            yield engine
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with filled(folder, ecgs) as engine:
            yield engine


@contextmanager
def filled(folder: Path, ecgs: int) -> Iterator[Engine]:
    start = time.monotonic()
    settings = Settings(data_dir=folder)
    with database.connect_as_owner(settings) as owner, database.connect(settings) as engine:
        print(f"migrated in {time.monotonic() - start:.0f} s", flush=True)
        with owner.connect() as connection:
            empty = not connection.scalar(text("SELECT EXISTS (SELECT FROM objects)"))
        if empty:
            script = SCRIPT.read_text().replace(":ecgs", str(ecgs)).replace(":until", f"'{UNTIL}'")
            with owner.begin() as connection:
                connection.exec_driver_sql(script, execution_options={"no_parameters": True})
            with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        print(f"{ecgs:,} ECGs are there after {time.monotonic() - start:.0f} s", flush=True)
        yield engine


class Archive:
    """A store with day folders as ``ten_million.sql`` has them, and new ECGs of today."""

    url = "memory://"

    def __init__(self, ecgs: int, new: int) -> None:
        self._ecgs, self._new, self.listed = ecgs, new, 0

    def list(self, prefix: str, skipped: object = None) -> Iterator[StoredObject]:
        """The objects of the day that ``prefix`` names."""
        day = date(*map(int, prefix.strip("/").split("/")[1:])) if prefix.startswith("ecg/") else UNTIL
        last = self._ecgs - (UNTIL - timedelta(days=1) - day).days * PER_DAY
        numbers = range(max(1, last - PER_DAY + 1), last + 1) if day < UNTIL else range(0)
        keys = [(f"{prefix}{n}.hea", hashlib.md5(str(n).encode()).hexdigest()) for n in numbers]  # noqa: S324
        if day == UNTIL and prefix.startswith("ecg/"):
            keys += [(f"{prefix}{uuid.uuid4()}.hea", "new") for _ in range(self._new)]
        for key, etag in sorted(keys):
            self.listed += 1
            yield StoredObject(key, etag, 120_000)

    def head(self, key: str) -> StoredObject:
        """No manifest."""
        raise ObjectNotFoundError("none", key)

    def get(self, key: str, limit: int | None = None) -> bytes:
        """No layouts."""
        raise ObjectNotFoundError("none", key)


def measured(engine: Engine, ecgs: int) -> Iterator[Row]:
    settings = Settings(listing="days", full_listing_hours=1e6)
    note_full(engine)
    enqueue(engine, "champion")
    yield from index_an_hour(engine, ecgs, settings)
    took = timed(lambda: enqueue(engine, "champion"))
    yield Row(f"enqueue of {NEW}", took, "s", 2)
    yield from claims(engine)
    for name in ("flagged_patients", "ward_list", "highest_risk"):
        times = [1000 * timed(lambda name=name: ask(engine, name)) for _ in range(ROUNDS)]
        yield Row(f"query {name}", statistics.median(times), "ms", 50 if name == "flagged_patients" else None)
    yield Row(
        "monitoring of a day", timed(lambda: watch(engine, settings, [UNTIL - timedelta(days=1)])), "s", 60
    )
    yield Row("answers of the report", timed(lambda: ask_everything(engine, UNTIL, None, silent)), "s")
    yield from scorers(engine)


def note_full(engine: Engine) -> None:
    """As if the store had been listed in full a moment ago."""
    with engine.begin() as connection:
        connection.exec_driver_sql(FULL_LISTING)


def index_an_hour(engine: Engine, ecgs: int, settings: Settings) -> Iterator[Row]:
    """Listing of four days with 500 new ECGs."""
    store, spent = Archive(ecgs, NEW), Spent(engine)
    days = [f"ecg/{UNTIL - timedelta(days=back):%Y/%m/%d}/" for back in (3, 2, 1, 0)]
    with mock.patch.object(listing, "day_prefixes", return_value=days), spent:
        summary = indexing.index(engine, cast("ObjectStore", store), settings)
    if summary.new != NEW:
        raise SystemExit(f"{NEW} ECGs are new, but the index has {summary}")
    yield Row("index of an hour, database", spent.seconds, "s", 5)
    yield Row("index of an hour, objects listed", store.listed, "")


class Spent:
    """Seconds that statements take in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.seconds, self._start = engine, 0.0, 0.0

    def __enter__(self) -> None:
        event.listen(self._engine, "before_cursor_execute", self._before)
        event.listen(self._engine, "after_cursor_execute", self._after)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._before)
        event.remove(self._engine, "after_cursor_execute", self._after)

    def _before(self, *_: Any) -> None:
        self._start = time.perf_counter()

    def _after(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._start


def enqueue(engine: Engine, model: str) -> None:
    Worklist(engine, Settings(), model, uuid.uuid4()).enqueue()


def new_model(engine: Engine) -> str:
    name = f"new-{uuid.uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.exec_driver_sql(MODEL.format(name=name))
    return name


def new_run(engine: Engine, model: str) -> Worklist:
    number = uuid.uuid4()
    with engine.begin() as connection:
        connection.execute(text(RUN), {"id": number, "model": model})
    return Worklist(engine, Settings(), model, number)


def claims(engine: Engine) -> Iterator[Row]:
    """A new model has the whole archive before it."""
    model = new_model(engine)
    run = new_run(engine, model)
    yield Row("first enqueue of a new model, until scoring begins", timed(run.enqueue), "s")
    start, files = time.perf_counter(), 0
    while part := run._add("enqueue_04_older", oldest=run._oldest()).files:
        files += part
    yield Row(
        "enqueue of its archive, a million ECGs", (time.perf_counter() - start) * 1e6 / max(files, 1), "s"
    )
    times = sorted(1000 * timed(lambda: run.claim(BATCH)) for _ in range(CLAIMS))
    yield Row(f"claim of {BATCH}, median of {CLAIMS}", statistics.median(times), "ms", 20)
    yield Row(f"claim of {BATCH}, 99 %", times[int(0.99 * len(times))], "ms", 100)
    yield Row("counts of its worklist", 1000 * timed(lambda: ask(engine, "worklist")), "ms")


def scorers(engine: Engine) -> Iterator[Row]:
    """No-op scorers that claim and finish, side by side."""
    for count in SCORERS:
        model = new_model(engine)
        new_run(engine, model).enqueue()
        runs = [new_run(engine, model) for _ in range(count)]
        waits: list[float] = []
        start = time.monotonic()
        threads = [threading.Thread(target=score, args=(engine, run, start, waits)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        waits.sort()
        yield Row(f"claims/s of {count} no-op scorers", len(waits) / (time.monotonic() - start), "/s")
        yield Row("  their claim and write, 99 %", 1000 * waits[int(0.99 * len(waits))], "ms")


def score(engine: Engine, run: Worklist, start: float, waits: list[float]) -> None:
    while time.monotonic() - start < SCORING_SECONDS:
        begun = time.perf_counter()
        if not run.claim(BATCH):
            return
        with engine.begin() as connection:
            connection.execute(text(DONE), {"run": run._who["run_id"]})
        waits.append(time.perf_counter() - begun)


def ask(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        queries.run(connection, name, {})


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
