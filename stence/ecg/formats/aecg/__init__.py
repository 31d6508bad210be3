"""HL7 annotated ECG (aECG, ANSI HL7 V3 2004): the rhythm series, with samples as decimal digits."""

from __future__ import annotations

from stence.ecg.formats.aecg.particulars import acquired_at, age, author, patient_number, sex, site
from stence.ecg.formats.aecg.remarks import filters, measurements, statements
from stence.ecg.formats.aecg.sequences import rate, rhythm, signal
from stence.ecg.formats.limits import Limits
from stence.ecg.formats.xml_document import parse, root_name
from stence.ecg.recording import Recording

NAME = "HL7 aECG"


def recognises(content: bytes) -> bool:
    """Return True if the root element is ``AnnotatedECG``."""
    return root_name(content) == "AnnotatedECG"


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the sequence set with the most leads, in millivolts; missing limb leads are derived.

    Raises UnusableEcgError if the document is broken, has no such set, has a lead of another length or of
    invalid digits, or lacks a scale or a time axis.
    """
    root = parse(content, limits)
    series, sequences = rhythm(root)
    acquired = acquired_at(root, series, sequences)
    device, serial = author(series)
    return Recording(
        signal(sequences, limits),
        rate(sequences),
        patient_id=patient_number(root),
        acquired_at=acquired,
        device=device,
        sex=sex(root),
        age=age(root, acquired),
        site=site(root),
        format=NAME,
        device_serial=serial,
        filters=filters(series),
        measurements=measurements(series),
        statements=tuple(statements(series)),
    )
