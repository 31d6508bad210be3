"""What stence made of a patient outside the tables: pages, features, messages, caches and models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from stence.angiography.features import feature_folder
from stence.database import queries
from stence.settings import Settings

TOLD = "entered-in-error"
"""Status of a message that a flag is void."""


class Message(NamedTuple):
    """A message about a flag; ``resource`` is its file or its id at the server."""

    format: str
    destination: str
    flag_id: int
    status: str
    confirmed: bool
    resource: str | None
    is_last: bool

    @property
    def is_held(self) -> bool:
        """True if the receiver may hold the flag as valid after this message."""
        return self.is_last and not (self.confirmed and self.status == TOLD)


class Learned(NamedTuple):
    """A model whose training may have had the patient, in this split; ``certain`` if it is known."""

    model_version: str
    split: str
    certain: bool


class Traces(NamedTuple):
    """Traces of a patient."""

    pages: list[str]
    """Keys of pages in the store."""
    feature_folders: list[str]
    """Prefixes of features in the store."""
    messages: list[Message]
    hashes: list[str]
    """Content hashes of ECGs, in hexadecimal, by which caches hold them."""
    angiograms: list[int]
    """Numbers of angiograms, by which caches hold their features."""
    models: list[Learned]

    @property
    def held(self) -> dict[tuple[str, str], list[int]]:
        """Flags that receivers, by format and destination, may hold as valid."""
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for message in self.messages:
            if message.is_held:
                found[message.format, message.destination].append(message.flag_id)
        return dict(found)


def find(connection: Connection, settings: Settings, patients: Sequence[str]) -> Traces:
    """Find the traces of the patient with these pseudonyms."""
    who = {"patient_ids": list(patients)}
    hashes, angiograms = connection.execute(queries.statement("forget_contents"), who).one()
    return Traces(
        pages=list(connection.scalars(queries.statement("forget_pages"), who)),
        feature_folders=[
            feature_folder(settings, *row)
            for row in connection.execute(queries.statement("forget_views"), who)
        ],
        messages=[Message(*row) for row in connection.execute(queries.statement("forget_messages"), who)],
        hashes=hashes,
        angiograms=angiograms,
        models=[Learned(*row) for row in connection.execute(queries.statement("forget_models"), who)],
    )
