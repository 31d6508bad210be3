"""Files in the store's own part that name a patient: pages, lists of patients, features, exported flags."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from stence.errors import ObjectNotFoundError, StoreUnavailableError
from stence.forgetting.traces import TOLD, Message, Traces
from stence.objects import ObjectStore
from stence.retry import retry
from stence.settings import Settings

T = TypeVar("T")


class Files:
    """The store's own part, for one removal. It waits out an outage for ``outage_seconds``."""

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def remove(self, traces: Traces, patients: Collection[str]) -> int:
        """Remove pages, features and lists of the patient. Return the number of files."""
        keys = [*traces.pages, *self._features(traces.feature_folders), *self._lists(patients)]
        for key in keys:
            self._retry(partial(self._store.delete, key))
        return len(keys)

    def take_out_of_exports(self, messages: Sequence[Message]) -> list[str]:
        """Take the patient's flags out of exported files in the store.

        Return the keys of the files that stay, because they tell their receiver that the flags are void.
        """
        told: list[Message] = []
        earlier: list[Message] = []
        for message in messages:
            if message.resource and message.destination == self._folder(message.format):
                (told if message.status == TOLD else earlier).append(message)
        flags = {message.flag_id for message in messages}
        for format, key in dict.fromkeys((m.format, m.resource or "") for m in earlier):
            self._retry(partial(self._take_out, format, key, flags))
        return list(dict.fromkeys(m.resource or "" for m in told))

    def _folder(self, format: str) -> str:
        return f"{self._store.url}/{self._settings.export_prefix}{format}/"

    def _take_out(self, format: str, key: str, flags: Collection[int]) -> None:
        try:
            rows = without_flags(self._store.get(key), flags) if format == "csv" else b""
        except ObjectNotFoundError:
            return
        if rows:
            self._store.put(key, rows)
        else:
            self._store.delete(key)

    def _features(self, folders: Iterable[str]) -> Iterator[str]:
        for folder in folders:
            yield from self._retry(partial(self._keys, folder))

    def _lists(self, patients: Collection[str]) -> Iterator[str]:
        """Yield the lists of patients that name the patient; the next score run writes a new one."""
        named = [f"<b>{html.escape(number)}</b>".encode() for number in patients]
        prefix = f"{self._settings.page_prefix}ward-list"
        for key in self._retry(partial(self._keys, prefix)):
            content = self._retry(partial(self._store.get, key))
            if any(number in content for number in named):
                yield key

    def _keys(self, prefix: str) -> list[str]:
        return [item.key for item in self._store.list(prefix)]

    def _retry(self, action: Callable[[], T]) -> T:
        return retry(action, self._settings.outage_seconds, StoreUnavailableError)


def without_flags(table: bytes, flags: Collection[int]) -> bytes:
    """Return an exported CSV without the rows of these flags that still hold; empty if none is left.

    >>> without_flags(b"flag_id,status\\r\\n1,final\\r\\n2,final\\r\\n", {1})
    b'flag_id,status\\r\\n2,final\\r\\n'
    """
    rows = csv.DictReader(io.StringIO(table.decode(), newline=""))
    kept = [row for row in rows if int(row["flag_id"]) not in flags or row["status"] == TOLD]
    if not kept:
        return b""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows.fieldnames or ())
    writer.writeheader()
    writer.writerows(kept)
    return text.getvalue().encode()
