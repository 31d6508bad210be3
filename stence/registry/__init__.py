"""The model registry: artefacts in the object store, model versions and their states in Postgres."""

from __future__ import annotations

from sqlalchemy import Engine

from stence.device import device_of
from stence.errors import RegistryError
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.registry.artefact import Artefact, publish, read, scorer, weights_of
from stence.registry.cards import publish_card, read_card
from stence.registry.exchange import export_model, import_model
from stence.registry.forms import in_chosen_form
from stence.registry.manifest import Manifest
from stence.registry.versions import (
    Registered,
    Succession,
    champion,
    days_since_look,
    due_shadows,
    find,
    judge,
    make_room,
    promote,
    refuse,
    register,
    reject,
    request_promotion,
    rollback,
    shadow,
    shadows,
    state_of,
)
from stence.settings import Settings

__all__ = [
    "Artefact",
    "Manifest",
    "Registered",
    "RiskScorer",
    "Succession",
    "champion",
    "days_since_look",
    "due_shadows",
    "export_model",
    "find",
    "import_model",
    "in_chosen_form",
    "judge",
    "load",
    "load_champion",
    "make_room",
    "promote",
    "publish",
    "publish_card",
    "read",
    "read_card",
    "refuse",
    "register",
    "reject",
    "request_promotion",
    "rollback",
    "scorer",
    "shadow",
    "shadows",
    "state_of",
    "weights_of",
]


def load_champion(engine: Engine, store: ObjectStore, settings: Settings) -> RiskScorer:
    """Verify and load the champion, ready to score on the device of the settings.

    Raises RegistryError if there is no champion, ArtefactError if one of its files is missing, altered or
    foreign, ConfigurationError if the device is not available.
    """
    with engine.connect() as connection:
        found = champion(connection)
    if found is None:
        raise RegistryError(
            "No model is champion yet: train a model (stence train), then promote it with "
            "stence models promote VERSION --by … --why …"
        )
    return load(found, store, settings)


def load(found: Registered, store: ObjectStore, settings: Settings) -> RiskScorer:
    """Verify and load a version, ready to score. Raises ArtefactError and ConfigurationError as above."""
    return scorer(read(store, found.folder, found.sha256), device_of(settings))
