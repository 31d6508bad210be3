"""Read an object of the store as a usable ECG, or give the reason why it is not usable."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from stence.domain.merged_patients import NOT_MERGED, Patients
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
    parts,
)
from stence.ecg.fingerprint import Trace, fingerprint, is_same
from stence.ecg.formats.tables import layout_of
from stence.ecg.reasons import refuse
from stence.ecg.recording import Sex
from stence.errors import (
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ObjectUnreadableError,
    StenceError,
    StoreUnavailableError,
)
from stence.objects.store import Admit, ObjectStore
from stence.preparation.rules import Rules, rules_of
from stence.retry import retry

if TYPE_CHECKING:
    from stence.settings import Settings


OPTED_OUT_DETAIL = "its patient has opted out; nothing to do"


@dataclass(frozen=True, slots=True)
class Identity:
    """Patient (pseudonym), time, site and indication of an ECG, from the manifests.

    ``contradiction`` names the manifest rows if they give different patients. ``local_timezone`` is the time
    zone used to read the time. ``otherwise`` is the patient if neither file nor manifest names one; None
    refuses such an ECG.

    >>> Identity(patient_id="9e960f1e", site="ward 3").patient_id
    '9e960f1e'
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
    """An ECG that passed all checks. ``warnings`` are remarks for the reader of its score.

    ``patient_id`` is the pseudonym of the patient's present number, ``named_id`` that of the number in the
    source; ``number`` is the number itself where the file has it. ``local_timezone`` is the time zone used to
    read ``acquired_at``; None if the source has its own.
    """

    recording: Recording
    patient_id: str
    named_id: str
    number: str | None = field(repr=False)
    acquired_at: datetime | None
    local_timezone: str | None
    warnings: tuple[str, ...]
    content_hash: bytes
    site: str | None = None
    indication: str | None = None

    def trace(self) -> Trace:
        """Return what recognises another export of this ECG."""
        about = (self.patient_id, self.acquired_at, fingerprint(self.recording))
        return Trace(*about, self.content_hash.hex())

    def facts(self) -> EcgFacts:
        """Return the ECG's columns for the database."""
        recording = self.recording
        return EcgFacts(
            content_hash=self.content_hash,
            patient_id=self.named_id,
            number=self.number,
            acquired_at=self.acquired_at,
            local_timezone=self.local_timezone,
            device=recording.device,
            sex=recording.sex,
            age=recording.age,
            sampling_rate=recording.sampling_rate,
            seconds=recording.seconds,
            warnings=list(self.warnings),
            site=self.site,
            indication=self.indication,
            format=recording.format,
            device_serial=recording.device_serial,
            filters=recording.filters,
            measurements=json.dumps(dict(recording.measurements)),
            statements=list(recording.statements),
            fingerprint=list(fingerprint(recording)),
        )


class EcgFacts(NamedTuple):
    """An ECG without its signal, as columns of ``staged_results``. ``patient_id`` is that of the source.

    ``number`` is the patient's number, for the map of patients alone.
    """

    content_hash: bytes
    patient_id: str
    number: str | None
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
    format: str | None
    device_serial: str | None
    filters: str | None
    measurements: str
    """The machine's measurements as a JSON object."""
    statements: list[str]
    fingerprint: list[int]


class Fetched(NamedTuple):
    """Files of an ECG by name, or the finding that prevents reading, and the keys of all its other files.

    ``signals`` is None if the header cannot be read.

    >>> Fetched({"100.dcm": b"..."}).usable()
    {'100.dcm': b'...'}
    """

    files: Mapping[str, bytes] | Finding
    signals: tuple[str, ...] | None = None

    def usable(self) -> Mapping[str, bytes]:
        """Return the files. Raises UnusableEcgError if they could not be read."""
        if isinstance(self.files, Finding):
            raise UnusableEcgError(self.files)
        return self.files


def fetch(store: ObjectStore, key: str, rules: Rules, admit: Admit | None = None) -> Fetched:
    """Fetch an ECG's main file and all files that it needs, up to ``rules.max_bytes`` together.

    ``admit`` is called with the size of each file before it is read. Its exceptions pass through. Raises
    StoreUnavailableError if the store does not answer.
    """
    folder, name = posixpath.split(key)
    files: dict[str, bytes] = {}
    signals: tuple[str, ...] | None = None
    try:
        wanted = [name]
        while wanted:  # headers of segments name further files
            for each in wanted:
                left = rules.max_bytes - sum(map(len, files.values()))
                files[each] = _get(store, posixpath.join(folder, each), left, admit)
            if (named := parts(name, files, rules.limits)) is not None:
                signals = tuple(posixpath.join(folder, part) for part in named)
            wanted = [each for each in companions(name, files, rules.limits) if each not in files]
    except UnusableEcgError as error:
        return Fetched(error.finding, signals)
    return Fetched(files, signals)


def read_again(
    store: ObjectStore, settings: Settings, key: str, content_hash: bytes, known: Sequence[int] | None
) -> Recording:
    """Read an ECG that was read before from its main file ``key``, or another export of the same ECG.

    ``known`` is the fingerprint of the ECG that was read before, where there is one.
    Raises StenceError if the file holds another ECG by now, UnusableEcgError if it cannot be read any more,
    and StoreUnavailableError after ``settings.outage_seconds``.
    """

    rules = rules_of(settings, store)

    def action() -> Recording:
        return decode_object(key, fetch(store, key, rules).usable(), rules)

    recording = retry(action, settings.outage_seconds, StoreUnavailableError)
    if recording.content_hash != content_hash and not (known and is_same(known, fingerprint(recording))):
        raise StenceError("The file of this ECG holds another one by now: the next score run reads it.")
    return recording


def decode_object(key: str, files: Mapping[str, bytes], rules: Rules) -> Recording:
    """Decode the files of an object of the store. Raises UnusableEcgError."""
    return decode(posixpath.basename(key), files, rules.limits, layout_of(key, rules.layouts))


def _get(store: ObjectStore, key: str, limit_bytes: int, admit: Admit | None) -> bytes:
    try:
        return store.get(key, limit_bytes, admit)
    except ObjectNotFoundError:
        detail = f"{key} is not in the store; put it there, and the next index will find it"
        raise refuse(Reason.OBJECT_MISSING, detail) from None
    except ObjectForbiddenError:
        detail = f"stence may not read {key}; grant read access, then retry"
        raise refuse(Reason.OBJECT_FORBIDDEN, detail) from None
    except ObjectTooLargeError as error:
        raise refuse(Reason.OBJECT_TOO_LARGE, f"{key}: {error}") from None
    except ObjectUnreadableError as error:
        raise refuse(Reason.OBJECT_UNREADABLE, f"{key}: {error}") from None


def take_in(
    key: str, files: Mapping[str, bytes], given: Identity, rules: Rules, patients: Patients = NOT_MERGED
) -> UsableEcg:
    """Decode and check an ECG, and determine its patient.

    Raises UnusableEcgError with the first finding for which the policy demands quarantine. Of a patient who
    has opted out nothing else is found.
    """
    recording = decode_object(key, files, rules)
    in_file = recording.patient_id and rules.pseudonyms.of(recording.patient_id)
    _check_opt_out(in_file, given, patients)
    findings = check(recording, rules.quality)
    refusing = [finding for finding in findings if POLICY[finding.reason] is Action.QUARANTINE]
    if refusing:
        raise UnusableEcgError(_summed_up(refusing))
    named = _patient(in_file, given, patients)
    return UsableEcg(
        recording,
        patients.present(named),
        named,
        recording.patient_id,
        *_acquired_at(recording, given, rules.zone),
        tuple(finding.detail for finding in findings),
        recording.content_hash,
        recording.site or given.site,
        recording.indication or given.indication,
    )


def _check_opt_out(in_file: str | None, given: Identity, patients: Patients) -> None:
    named = (in_file, given.patient_id, given.otherwise)
    if any(patient in patients.opted_out for patient in named if patient is not None):
        raise refuse(Reason.OPTED_OUT, OPTED_OUT_DETAIL)


def _summed_up(findings: list[Finding]) -> Finding:
    """Merge the findings: the first in full, reason and leads of the others. Bad ECGs often have several."""
    first, *others = findings
    leads: dict[Reason, list[str]] = {}
    for finding in others:
        leads.setdefault(finding.reason, []).extend([finding.lead] if finding.lead else [])
    also = [f"{reason} in {', '.join(named)}" if named else str(reason) for reason, named in leads.items()]
    return Finding(first.reason, "; also ".join([first.detail, *also]), first.lead, first.value)


def _patient(in_file: str | None, given: Identity, patients: Patients) -> str:
    """Return the patient in the file, else in the manifests. Raises UnusableEcgError on a conflict."""
    if given.contradiction:
        detail = f"manifests name different patients for it: {given.contradiction}; correct the wrong one"
        raise refuse(Reason.PATIENT_MISMATCH, detail)
    named = [patient for patient in (in_file, given.patient_id) if patient is not None]
    if len({patients.present(patient) for patient in named}) > 1:
        detail = "the file and the manifest name different patients; correct the wrong one, then retry"
        raise refuse(Reason.PATIENT_MISMATCH, detail)
    if named:
        return named[0]
    if given.otherwise:
        return given.otherwise
    detail = "neither the file nor a record_list.csv names the patient; add a line for it to a manifest"
    raise refuse(Reason.UNKNOWN_PATIENT, detail)


def _acquired_at(recording: Recording, given: Identity, zone: ZoneInfo) -> tuple[datetime | None, str | None]:
    """Return the time, and the time zone used to read it; None if the source has its own."""
    time = recording.acquired_at
    if time is None:
        return given.acquired_at, given.local_timezone
    return (time.replace(tzinfo=zone), zone.key) if time.tzinfo is None else (time, None)
