"""Failures a person can act on: every message says what is wrong, with which object, and what to do."""

from __future__ import annotations


class StenceError(Exception):
    """Base of all errors raised on purpose; the command line prints its text without a traceback."""


class ConfigurationError(StenceError):
    """A setting is missing, malformed or contradicts another."""


class ObjectError(StenceError):
    """Something about one object; others may be well.

    ``object_key`` names it. The text does not: keys can hold patients' names, and Prefect keeps texts.
    """

    def __init__(self, text: str, object_key: str | None = None) -> None:
        super().__init__(text)
        self.object_key = object_key


class ObjectForbiddenError(ObjectError, ConfigurationError):
    """This object may not be read or written; others may be open."""


class ObjectKeyError(ObjectError, ConfigurationError):
    """No object can be written under that key."""


class ObjectNotFoundError(ObjectError):
    """The object store holds no object under that key."""


class ObjectTooLargeError(ObjectError):
    """An object is larger than the caller is ready to read."""


class ObjectUnreadableError(ObjectError):
    """This object cannot be read, though the store serves others: archived, damaged, or too slow to come."""


class StoreUnavailableError(StenceError):
    """The object store did not answer, after all retries."""


class DatabaseUnavailableError(StenceError):
    """Postgres did not answer, after all retries."""


class LeaseLostError(StenceError):
    """A run could not renew its lease in time, and another one has taken its place."""


class ArtefactError(StenceError):
    """A model artefact is incomplete, altered, or of a kind that is never opened."""


class RegistryError(StenceError):
    """A change of a model version's state is not allowed."""


class PatientMergeError(StenceError):
    """Patient numbers cannot be merged or separated that way."""


class WeightsError(StenceError):
    """Published weights are missing, altered, unsafe to open, or not those of the model they are for."""


class FeatureError(StenceError):
    """Patch features in the store are not what was written there."""


class MonitoringError(StenceError):
    """An alert cannot be changed that way, or part of monitoring failed."""
