"""From an object in the store to an ECG ready for the model, or the reason why not."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stence.ecg import (
    POLICY,
    Action,
    Finding,
    Reason,
    Recording,
    UnusableEcgError,
    check,
    companions,
    decode,
    signal_files,
)
from stence.ecg.reasons import refuse
from stence.ecg.recording import Sex
from stence.errors import (
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ObjectUnreadableError,
)
from stence.ingest.patients import NOT_MERGED, Patients
from stence.objects import ObjectStore
from stence.objects.store import Admit


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose ECG it is, from when, where and why: what manifests say.

    ``contradiction`` names their rows where those name different patients. ``local_timezone`` is that in
    which the time was read. ``otherwise`` stands for the patient where neither file nor manifest names one;
    None: that is refused.
    """

    patient_id: str | None = None
    acquired_at: datetime | None = None
    site: str | None = None
    indication: str | None = None
    local_timezone: str | None = None
    contradiction: str | None = None
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class UsableEcg:
    """An ECG that passed all checks; ``warnings`` are remarks for the reader of its score.

    ``patient_id`` is the patient's present number, ``named_id`` the one under which the ECG came.
    ``local_timezone`` is that in which ``acquired_at`` was read, None where the source names its own.
    """

    recording: Recording
    patient_id: str
    named_id: str
    acquired_at: datetime | None
    local_timezone: str | None
    warnings: tuple[str, ...]
    content_hash: bytes
    site: str | None = None
    indication: str | None = None

    def facts(self) -> EcgFacts:
        """What goes into the database of it."""
        recording = self.recording
        return EcgFacts(
            self.content_hash,
            self.named_id,
            self.acquired_at,
            self.local_timezone,
            recording.device,
            recording.sex,
            recording.age,
            recording.sampling_rate,
            recording.seconds,
            list(self.warnings),
            self.site,
            self.indication,
        )


class EcgFacts(NamedTuple):
    """An ECG without its signal, as columns of ``staged_results``; the patient is the one it came under."""

    content_hash: bytes
    patient_id: str
    acquired_at: datetime | None
    local_timezone: str | None
    device: str | None
    sex: Sex | None
    age: float | None
    sampling_rate: float
    seconds: float
    warnings: list[str]
    site: str | None
    indication: str | None


class Fetched(NamedTuple):
    """The files of an ECG by name, or why they cannot be had, and the keys of all signal files that it names.

    ``signals`` is None where its header could not be read.
    """

    files: Mapping[str, bytes] | Finding
    signals: tuple[str, ...] | None = None

    def usable(self) -> Mapping[str, bytes]:
        """The files. Raises UnusableEcgError."""
        if isinstance(self.files, Finding):
            raise UnusableEcgError(self.files)
        return self.files


def fetch(store: ObjectStore, key: str, limit_bytes: int, admit: Admit | None = None) -> Fetched:
    """The content of an ECG's main file and of all files that it needs, of ``limit_bytes`` together at most.

    ``admit`` is told the size of each before it is read; what it raises passes through.
    Raises StoreUnavailableError where the store does not answer.
    """
    folder, name = posixpath.split(key)
    files: dict[str, bytes] = {}
    signals: tuple[str, ...] | None = None
    try:
        files[name] = _get(store, key, limit_bytes, admit)
        if (named := signal_files(name, files[name])) is not None:
            signals = tuple(posixpath.join(folder, signal) for signal in named)
        for companion in companions(name, files[name]):
            left = limit_bytes - sum(map(len, files.values()))
            files[companion] = _get(store, posixpath.join(folder, companion), left, admit)
    except UnusableEcgError as error:
        return Fetched(error.finding, signals)
    return Fetched(files, signals)


def _get(store: ObjectStore, key: str, limit_bytes: int, admit: Admit | None) -> bytes:
    try:
        return store.get(key, limit_bytes, admit)
    except ObjectNotFoundError:
        detail = f"{key} is not in the store; put it there, the next index takes it up"
        raise refuse(Reason.OBJECT_MISSING, detail) from None
    except ObjectForbiddenError:
        detail = f"{key} is closed to stence; grant it the right to read, then retry"
        raise refuse(Reason.OBJECT_FORBIDDEN, detail) from None
    except ObjectTooLargeError as error:
        raise refuse(Reason.OBJECT_TOO_LARGE, f"{key}: {error}") from None
    except ObjectUnreadableError as error:
        raise refuse(Reason.OBJECT_UNREADABLE, f"{key}: {error}") from None


def take_in(
    key: str, files: Mapping[str, bytes], given: Identity, zone: ZoneInfo, patients: Patients = NOT_MERGED
) -> UsableEcg:
    """Decode and check an ECG, and settle whose it is; ``zone`` is that of times which name none.

    Raises UnusableEcgError with the first finding that the policy does not let pass.
    """
    recording = decode(posixpath.basename(key), files)
    findings = check(recording)
    refusing = [finding for finding in findings if POLICY[finding.reason] is Action.QUARANTINE]
    if refusing:
        raise UnusableEcgError(_summed_up(refusing))
    named = _patient(recording, given, patients)
    return UsableEcg(
        recording,
        patients.present(named),
        named,
        *_acquired_at(recording, given, zone),
        tuple(finding.detail for finding in findings),
        recording.content_hash,
        recording.site or given.site,
        recording.indication or given.indication,
    )


def _summed_up(findings: list[Finding]) -> Finding:
    """The first finding whole, of the others reason and leads only: a bad ECG is bad in many ways."""
    first, *others = findings
    leads: dict[Reason, list[str]] = {}
    for finding in others:
        leads.setdefault(finding.reason, []).extend([finding.lead] if finding.lead else [])
    also = [f"{reason} in {', '.join(named)}" if named else str(reason) for reason, named in leads.items()]
    return Finding(first.reason, "; also ".join([first.detail, *also]), first.lead, first.value)


def _patient(recording: Recording, given: Identity, patients: Patients) -> str:
    """The number under which the ECG came: the file's, else the manifests'."""
    if given.contradiction:
        detail = f"manifests name different patients for it: {given.contradiction}; mend whichever is wrong"
        raise refuse(Reason.PATIENT_MISMATCH, detail)
    named = [number for number in (recording.patient_id, given.patient_id) if number is not None]
    if len({patients.present(number) for number in named}) > 1:
        detail = "the file and the manifest name different patients; mend whichever is wrong, then retry"
        raise refuse(Reason.PATIENT_MISMATCH, detail)
    if named:
        return named[0]
    if given.otherwise:
        return given.otherwise
    detail = "neither the file nor a record_list.csv names the patient; add a line for it to a manifest"
    raise refuse(Reason.UNKNOWN_PATIENT, detail)


def _acquired_at(recording: Recording, given: Identity, zone: ZoneInfo) -> tuple[datetime | None, str | None]:
    """The time, and the time zone that it was read in, None where the source names its own."""
    time = recording.acquired_at
    if time is None:
        return given.acquired_at, given.local_timezone
    return (time.replace(tzinfo=zone), zone.key) if time.tzinfo is None else (time, None)
