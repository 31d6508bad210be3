"""Layout of a backup: the database's dump, and the objects that stence wrote into the store, by key."""

from __future__ import annotations

from stence.settings import Settings

KIND = "a backup of stence"
DIRECTORY_BYTES = 256 * 2**20
"""Room for the names of about two million members."""
DATABASE = "database.dump"
STORE = "store/"


def own_prefixes(settings: Settings, *, features: bool) -> list[str]:
    """Return the prefixes below which stence alone writes; the other ones are the hospital's."""
    prefixes = [
        settings.model_prefix,
        settings.card_prefix,
        settings.weights_prefix,
        settings.training_prefix,
        settings.task_prefix,
        settings.validation_prefix,
        settings.study_prefix,
        settings.monitoring_prefix,
        settings.page_prefix,
        settings.export_prefix,
    ]
    wanted = {*prefixes, settings.feature_prefix} if features else set(prefixes)
    return sorted(prefix for prefix in wanted if not prefix.startswith(tuple(wanted - {prefix})))
