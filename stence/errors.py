"""Failures a person can act on: every message says what is wrong, with which object, and what to do."""

from __future__ import annotations


class StenceError(Exception):
    """Base of all errors raised on purpose; the command line prints its text without a traceback."""


class ConfigurationError(StenceError):
    """A setting is missing, malformed or contradicts another."""


class ObjectForbiddenError(ConfigurationError):
    """This object may not be read or written; others may be open."""


class ObjectNotFoundError(StenceError):
    """The object store holds no object under that key."""


class ObjectTooLargeError(StenceError):
    """An object is larger than the caller is ready to read."""


OBJECT_ERRORS = (ObjectForbiddenError, ObjectNotFoundError, ObjectTooLargeError)
"""Errors about one object; the store itself is well."""


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
