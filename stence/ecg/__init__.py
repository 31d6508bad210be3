"""Read ECGs, check their quality, and preprocess them for a model."""

from __future__ import annotations

from stence.ecg.formats import FileKind, companions, decode, file_kind, read, signal_files
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
    "preprocess",
    "read",
    "resample",
    "signal_files",
]
