"""Read ECGs, check their quality, and preprocess them for a model."""

from __future__ import annotations

from stence.ecg.formats import companions, decode, parts, read
from stence.ecg.formats.kinds import FileKind, file_kind
from stence.ecg.preprocessing import PREPROCESSING_VERSION, WINDOW_SAMPLES, preprocess
from stence.ecg.quality import check
from stence.ecg.reasons import POLICY, Action, Finding, Reason, UnusableEcgError
from stence.ecg.recording import LEADS, Recording
from stence.ecg.resampling import SAMPLING_RATE, resample

__all__ = [
    "LEADS",
    "POLICY",
    "PREPROCESSING_VERSION",
    "SAMPLING_RATE",
    "WINDOW_SAMPLES",
    "Action",
    "FileKind",
    "Finding",
    "Reason",
    "Recording",
    "UnusableEcgError",
    "check",
    "companions",
    "decode",
    "file_kind",
    "parts",
    "preprocess",
    "read",
    "resample",
]
