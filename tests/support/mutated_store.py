"""A store of mutated ECGs that are made while they are read, in the processes that prepare them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from stence.errors import ObjectNotFoundError
from stence.objects import LocalStore, StoredObject
from support import scp
from support.mutations import mutated
from support.samples import Sample, samples


class MutatedStore(LocalStore):
    """``count`` mutated ECGs in turns of all formats. Set ``first`` to go on where another store ended.

    A key names format and number, and these determine the content. In a record of several files each is
    mutated two times of three. Four of five SCP files have right checksums.
    """

    first = 0
    count = 0

    def list(self, prefix: str, *arguments: object) -> Iterator[StoredObject]:
        """See ObjectStore."""
        if prefix != "ecg/":
            return
        yield from sorted(
            StoredObject(self.key(number, name), "1", 1)
            for number in range(self.first, self.first + self.count)
            for name in self.sample(number).files
        )

    def get(self, key: str, limit_bytes: int | None = None, admit: object = None) -> bytes:
        """See ObjectStore."""
        _, _, ecg = key.partition("/")
        folder, _, name = ecg.partition("/")
        if not name:
            raise ObjectNotFoundError("only samples are here", key)
        number = int(folder.partition("-")[0])
        content = self.sample(number).files.get(name)
        if content is None:
            raise ObjectNotFoundError("no file of the sample", key)
        whole = len(self.sample(number).files) > 1 and random.Random(f"{number}{name}").random() < 1 / 3
        changed = content if whole else mutated(content, key)
        return scp.repaired(changed) if self.sample(number).format == "SCP" and number % 5 else changed

    @staticmethod
    def sample(number: int) -> Sample:
        """Return the sample of which this number is a mutation."""
        return samples()[number % len(samples())]

    def key(self, number: int, name: str) -> str:
        """Return the key of a file."""
        return f"ecg/{number:09d}-{self.sample(number).format.replace(' ', '_').replace('/', '_')}/{name}"
