"""The published weights of a study's encoders, if they were imported."""

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
    """Origin of an encoder's initial weights, in words, and a function that reads them (None: random)."""

    origin: str
    read: Callable[[], Weights | None]
    missing: str = ""
    """Reason why there are no published weights."""

    @property
    def is_imported(self) -> bool:
        """True if there are published weights."""
        return self.origin != RANDOM


def published_of(store: ObjectStore, settings: Settings, choice: EncoderChoice) -> Published:
    """Find an encoder's published weights in the store.

    Raises WeightsError, before any training, if they were altered or belong to another encoder.
    """
    name = choice.weights
    if name is None:
        return Published(RANDOM, lambda: None, "its configuration names no weights")
    if name not in weights.list_imported(store, settings):
        return Published(RANDOM, lambda: None, f"{name} was not imported (stence weights import {name} PATH)")
    read = partial(weights.read, store, settings, name)
    encoders.build(choice.encoder, **choice.config).load_published(read())
    return Published(origin_of(store, settings, name), read)
