"""Errors for the user. Every message names the fault, the object, and the remedy."""

from __future__ import annotations


class StenceError(Exception):
    """Base of all expected errors. The command line prints the text without a traceback."""


class ConfigurationError(StenceError):
    """A setting is missing, malformed or contradicts another."""


class ObjectError(StenceError):
    """An error of one object; other objects may be readable.

    ``object_key`` names the object. The text does not, because keys can contain patients' names, and Prefect
    stores texts.
    """

    def __init__(self, text: str, object_key: str | None = None) -> None:
        super().__init__(text)
        self.object_key = object_key


class ObjectForbiddenError(ObjectError, ConfigurationError):
    """Access to this object is denied. Access to others may be allowed."""


class ObjectKeyError(ObjectError, ConfigurationError):
    """The key is not valid for writing."""


class ObjectNotFoundError(ObjectError):
    """The object store has no object with this key."""


class ObjectTooLargeError(ObjectError):
    """The object is larger than the caller's limit."""


class ObjectUnreadableError(ObjectError):
    """The object is archived, damaged, or too slow, although the store serves other objects."""


class StoreUnavailableError(StenceError):
    """The object store did not answer, after all retries."""


class DatabaseUnavailableError(StenceError):
    """Postgres did not answer, after all retries."""


class ReceiverUnavailableError(StenceError):
    """The system that receives exports did not answer, after all retries."""


class LeaseLostError(StenceError):
    """A run could not renew its lease in time, and another run took over."""


class ArtefactError(StenceError):
    """A model artefact is incomplete, altered, or of a forbidden kind."""


class FormError(StenceError):
    """A model cannot compute in this numeric form, or may not."""


class RegistryError(StenceError):
    """A change of a model version's state is not allowed."""


class PatientMergeError(StenceError):
    """This merge or separation of patient numbers is not possible."""


class ForgettingError(StenceError):
    """This patient cannot be forgotten, or not be put on or taken off the opt-out list."""


class WeightsError(StenceError):
    """Published weights are missing, altered, unsafe to open, or belong to another model."""


class FeatureError(StenceError):
    """Patch features in the store were altered."""


class MonitoringError(StenceError):
    """This change of an alert is not possible, or part of monitoring failed."""


class ArchiveError(StenceError):
    """A backup or an exported model cannot be written, or is incomplete, altered, or of another kind."""


class RestoreError(StenceError):
    """A backup does not fit the place where it should be restored."""


class NoLabelledPatientsError(StenceError):
    """There are no patients with cath reports to learn from, or to validate on."""
