"""Measurements and statements of the electrocardiograph in DICOM (Waveform Annotation, PS3.3 C.10.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import MappingProxyType
from typing import TypedDict

from stence.ecg.formats.dicom_elements import Item
from stence.ecg.machine import MAX_STATEMENTS

MAX_WORDS_BYTES = 2**10
_MAX_ANNOTATIONS = 1000
_NAMES = MappingProxyType(
    {
        "5.10.2.1-3": "rr_ms",
        "5.13.5-7": "pr_ms",
        "5.13.5-9": "qrs_ms",
        "5.13.5-11": "qt_ms",
        "5.10.2.5-5": "qtc_ms",
        "5.10.3-11": "p_axis",
        "5.10.3-13": "qrs_axis",
        "5.10.3-15": "t_axis",
        "2:16770": "heart_rate",
        "2:16168": "rr_ms",
        "2:15872": "pr_ms",
        "2:16156": "qrs_ms",
        "2:16160": "qt_ms",
        "2:15876": "qtc_ms",
        "2:15880": "qtc_ms",
        "2:16128": "p_axis",
        "2:16132": "qrs_axis",
    }
)
"""Global measurements by their codes in SCPECG and MDC (PS3.16 CID 3227 to 3229)."""
_NAMES_BY_MEANING = MappingProxyType(
    {
        "ventricular heart rate": "heart_rate",
        "heart rate": "heart_rate",
        "rr interval": "rr_ms",
        "p duration": "p_ms",
        "pr interval": "pr_ms",
        "qrs duration": "qrs_ms",
        "qt interval": "qt_ms",
        "qtc interval": "qtc_ms",
        "p axis": "p_axis",
        "qrs axis": "qrs_axis",
        "t axis": "t_axis",
    }
)
"""The same where another coding scheme is used."""
_UNITS = MappingProxyType({"ms": 1.0, "s": 1000.0, "deg": 1.0, "/min": 1.0, "{h.b.}/min": 1.0, "bpm": 1.0})


class Annotations(TypedDict):
    """Fields of a Recording."""

    measurements: dict[str, float]
    statements: tuple[str, ...]


def read(dataset: Item) -> Annotations:
    """Read the measurements of the whole ECG, the first of each name, and the free texts."""
    annotations = dataset.items("WaveformAnnotationSequence")[:_MAX_ANNOTATIONS]
    texts = filter(None, (words(dataset, item, "UnformattedTextValue") for item in annotations))
    statements = tuple(islice(texts, MAX_STATEMENTS))
    measured: dict[str, float] = {}
    for name, value in _measured(annotations):
        measured.setdefault(name, value)
    return Annotations(measurements=measured, statements=statements)


def words(dataset: Item, source: Item, keyword: str) -> str:
    """Return a person's words in ``source``, in the character set of the data set."""
    return source.words(keyword, MAX_WORDS_BYTES, dataset.text("SpecificCharacterSet"))


def _measured(annotations: list[Item]) -> Iterator[tuple[str, float]]:
    for annotation in annotations:
        try:
            value = annotation.number("NumericValue")
        except ValueError:
            continue
        if value is None or not _is_of_all_channels(annotation):
            continue
        name = _name(annotation)
        unit = _UNITS.get(_code(annotation, "MeasurementUnitsCodeSequence"))
        if name and unit:
            yield name, value * unit


def _is_of_all_channels(annotation: Item) -> bool:
    """Return True if no single channel is referenced: pairs of group and channel, of which 0 is all."""
    raw = annotation.raw("ReferencedWaveformChannels")[:256]
    return not any(raw[2::4] + raw[3::4])


def _name(annotation: Item) -> str | None:
    concept = next(iter(annotation.items("ConceptNameCodeSequence")), None)
    if concept is None:
        return None
    meaning = concept.text("CodeMeaning").lower()
    return _NAMES.get(concept.text("CodeValue")) or _NAMES_BY_MEANING.get(meaning)


def _code(annotation: Item, keyword: str) -> str:
    first = next(iter(annotation.items(keyword)), None)
    return first.text("CodeValue") if first else ""
