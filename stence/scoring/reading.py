"""From an object in the store to an ECG ready for the model, or the reason why not."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
)
from stence.errors import ObjectForbiddenError, ObjectNotFoundError, ObjectTooLargeError
from stence.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose ECG it is, from when, where and why: what a manifest says.

    ``otherwise`` stands for the patient where neither file nor manifest names one; None: that is refused.
    """

    patient_id: str | None = None
    acquired_at: datetime | None = None
    site: str | None = None
    indication: str | None = None
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class UsableEcg:
    """An ECG that passed all checks; ``warnings`` are remarks for the reader of its score."""

    recording: Recording
    patient_id: str
    acquired_at: datetime | None
    warnings: tuple[str, ...]
    content_hash: bytes
    site: str | None = None
    indication: str | None = None


def fetch(store: ObjectStore, key: str, limit_bytes: int) -> dict[str, bytes]:
    """The content of an ECG's main file and of all files that it names, by file name.

    Raises UnusableEcgError where a file is missing, too large, or the header is broken, and
    StoreUnavailableError where the store does not answer.
    """
    folder, name = posixpath.split(key)
    files = {name: _get(store, key, limit_bytes)}
    for companion in companions(name, files[name]):
        files[companion] = _get(store, posixpath.join(folder, companion), limit_bytes)
    return files


def _get(store: ObjectStore, key: str, limit_bytes: int) -> bytes:
    try:
        return store.get(key, limit_bytes)
    except ObjectNotFoundError:
        detail = f"{key} is not in the store; put it there, the next index takes it up"
        raise UnusableEcgError(Finding(Reason.OBJECT_MISSING, detail)) from None
    except ObjectForbiddenError:
        detail = f"{key} is closed to stence; grant it the right to read, then retry"
        raise UnusableEcgError(Finding(Reason.OBJECT_FORBIDDEN, detail)) from None
    except ObjectTooLargeError as error:
        raise UnusableEcgError(Finding(Reason.OBJECT_TOO_LARGE, str(error))) from None


def take_in(key: str, files: Mapping[str, bytes], given: Identity, zone: ZoneInfo) -> UsableEcg:
    """Decode and check an ECG, and settle whose it is; ``zone`` is that of times which name none.

    Raises UnusableEcgError with the first finding that the policy does not let pass.
    """
    recording = decode(posixpath.basename(key), files)
    findings = check(recording)
    refusing = [finding for finding in findings if POLICY[finding.reason] is Action.QUARANTINE]
    if refusing:
        raise UnusableEcgError(_summed_up(refusing))
    return UsableEcg(
        recording,
        _patient(recording, given),
        _localised(recording.acquired_at or given.acquired_at, zone),
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


def _patient(recording: Recording, given: Identity) -> str:
    named = {recording.patient_id, given.patient_id} - {None}
    if len(named) == 1:
        return str(named.pop())
    if named:
        detail = "the file and the manifest name different patients; mend whichever is wrong, then retry"
        raise UnusableEcgError(Finding(Reason.PATIENT_MISMATCH, detail))
    if given.otherwise:
        return given.otherwise
    detail = "neither the file nor a record_list.csv names the patient; add a line for it to a manifest"
    raise UnusableEcgError(Finding(Reason.UNKNOWN_PATIENT, detail))


def _localised(time: datetime | None, zone: ZoneInfo) -> datetime | None:
    return time.replace(tzinfo=zone) if time is not None and time.tzinfo is None else time
