"""Coronary angiograms: header of a run, its key frame, and the key frame's patch features."""

from __future__ import annotations

from stence.angiography.decoding import Decoder, KeyFrame
from stence.angiography.dicom import IncompleteHeaderError, View, read_view
from stence.angiography.reasons import REMEDIES, Reason, UnusableAngiogramError, refuse

__all__ = [
    "REMEDIES",
    "Decoder",
    "IncompleteHeaderError",
    "KeyFrame",
    "Reason",
    "UnusableAngiogramError",
    "View",
    "read_view",
    "refuse",
]
