"""Names, numbers and secrets that are planted in a hospital, and the search for them in what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NAME = "OROURKE"
NUMBER = "PAT-8123"
"""Beginning of every patient's number; it stands in keys of objects and in ids of studies too."""
SECRETS = {
    "database": "quassel-7261-parole",
    "access key": "AKIAPLANTED7261QQ",
    "secret key": "laubfrosch-7261-geheim",
    "token": "fhir-7261-losung",
    "pseudonym key": "schluessel-7261-tarnung-1215",  # it gives every split sick and healthy patients
    "prefect": "pforte-7261-einlass",
}
WORDS = (NAME, "Doe^Jane", NUMBER, *SECRETS.values())


def words_in(content: bytes, words: Iterable[str] = WORDS) -> set[str]:
    """The planted words in a text or file, in UTF-8 or UTF-16."""
    return {word for word in words if any(word.encode(code) in content for code in ("utf-8", "utf-16-le"))}


def leaks(places: Iterable[Path], words: Iterable[str] = WORDS) -> dict[str, set[str]]:
    """The planted words in names and contents of all files below the places."""
    files = [path for place in places for path in ([place] if place.is_file() else place.rglob("*"))]
    found = {
        str(path): words_in(bytes(path) + (path.read_bytes() if path.is_file() else b""), words)
        for path in files
    }
    return {path: each for path, each in found.items() if each}


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines of all processes that descend from this one during the context."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in psutil.Process().children(recursive=True):
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.1)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()
