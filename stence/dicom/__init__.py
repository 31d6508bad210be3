"""Untrusted DICOM files: read elements within limits, and extract patient, time and age."""

from __future__ import annotations

import logging
import warnings

import pydicom

from stence.dicom.elements import (
    MAX_VALUES_BYTES,
    TooManyElementsError,
    items,
    raw_bytes,
    read_elements,
    text,
    value,
)
from stence.dicom.particulars import PARTICULARS, acquired_at, age, patient_number

__all__ = [
    "MAX_VALUES_BYTES",
    "PARTICULARS",
    "TooManyElementsError",
    "acquired_at",
    "age",
    "items",
    "patient_number",
    "raw_bytes",
    "read_elements",
    "text",
    "value",
]

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
"""The readers check odd values themselves. Warnings of pydicom would quote patient data."""
logging.getLogger("pydicom").propagate = False
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")
