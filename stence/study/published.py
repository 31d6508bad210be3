"""The published weights of a study's encoders: which ones were imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stence import encoders, weights
from stence.encoders.base import Weights
from stence.fitting.start import origin_of
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.study.config import EncoderChoice

RANDOM = "random weights"


@dataclass(frozen=True)
class Published:
    """Where an encoder's first weights come from, in words, and how they are read (None: random ones)."""

    origin: str
    read: Callable[[], Weights | None]
    missing: str = ""
    """Why there are none."""

    @property
    def is_imported(self) -> bool:
        """Whether there are published ones."""
        return self.origin != RANDOM


def published_of(store: ObjectStore, settings: Settings, choice: EncoderChoice) -> Published:
    """What the store has for an encoder.

    Raises WeightsError, before any training, where it was altered or is another encoder's.
    """
    name = choice.weights
    if name is None:
        return Published(RANDOM, lambda: None, "its configuration names no weights")
    if name not in weights.list_imported(store, settings):
        return Published(RANDOM, lambda: None, f"{name} was not imported (stence weights import {name} PATH)")
    read = partial(weights.read, store, settings, name)
    encoders.build(choice.encoder, **choice.config).load_published(read())
    return Published(origin_of(store, settings, name), read)
