"""Filters, measurements and statements of an aECG, by their MDC codes (ISO/IEEE 11073-10102)."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from xml.etree.ElementTree import Element

from stence.ecg import machine
from stence.ecg.formats.xml_document import attribute, number, text

_FILTERS = {
    "MDC_ECG_CTL_VBL_ATTR_FILTER_HIGH_PASS": "high_pass",
    "MDC_ECG_CTL_VBL_ATTR_FILTER_LOW_PASS": "low_pass",
    "MDC_ECG_CTL_VBL_ATTR_FILTER_NOTCH": "notch",
}
_MEASUREMENTS = {
    "MDC_ECG_HEART_RATE": "heart_rate",
    "MDC_ECG_TIME_PD_RR": "rr_ms",
    "MDC_ECG_TIME_PD_P": "p_ms",
    "MDC_ECG_TIME_PD_PR": "pr_ms",
    "MDC_ECG_TIME_PD_QRS": "qrs_ms",
    "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_TIME_PD_QTC": "qtc_ms",
    "MDC_ECG_ANGLE_P_FRONT": "p_axis",
    "MDC_ECG_ANGLE_QRS_FRONT": "qrs_axis",
    "MDC_ECG_ANGLE_T_FRONT": "t_axis",
}
_FACTORS = {"ms": 1.0, "s": 1e3, "deg": 1.0, "bpm": 1.0, "/min": 1.0}
_LEAD = "MDC_ECG_LEAD_"
_TEXTS = frozenset({"MDC_ECG_INTERPRETATION_STATEMENT", "MDC_ECG_INTERPRETATION_SUMMARY"})
_RHYTHM = "MDC_ECG_RHY"


def filters(series: Element) -> str | None:
    """Describe the filters among the control variables of the series."""
    found: dict[str, float | None] = {}
    for variable in series.iterfind("controlVariable/controlVariable"):
        name = _FILTERS.get(attribute(variable, "code", "code"))
        for value in variable.iterfind("component/controlVariable/value"):
            if name and value.get("unit") == "Hz":
                found[name] = number(value.get("value", ""))
    return machine.filters(**found)


def measurements(series: Element) -> dict[str, float]:
    """Return the global measurements of the first annotation set: the median where each beat has its own."""
    values: dict[str, list[float]] = {}
    for annotation in _annotations(series):
        name = _MEASUREMENTS.get(attribute(annotation, "code", "code").upper())
        value = _converted(annotation) if name and not _of_one_lead(annotation) else None
        if name and value is not None:
            values.setdefault(name, []).append(value)
    return {name: median(found) for name, found in values.items()}


def statements(series: Element) -> Iterator[str]:
    """Return the rhythm and the statements of the first annotation set."""
    for annotation in _annotations(series):
        code = attribute(annotation, "code", "code")
        if code == _RHYTHM:
            yield attribute(annotation, "value", "displayName")
        elif code in _TEXTS:
            yield text(annotation, "value")


def _annotations(series: Element) -> Iterator[Element]:
    """Return the annotations of the first set with those inside them."""
    first = series.find("subjectOf/annotationSet")
    return iter(()) if first is None else first.iter("annotation")


def _converted(annotation: Element) -> float | None:
    """Return the value in the units of ``stence.ecg.machine``."""
    factor = _FACTORS.get(attribute(annotation, "value", "unit"))
    value = number(attribute(annotation, "value", "value"))
    return None if factor is None or value is None else value * factor


def _of_one_lead(annotation: Element) -> bool:
    return any(
        code.get("code", "").startswith(_LEAD)
        for support in annotation.findall("support")
        for code in support.iterfind("supportingROI/component/boundary/code")
    )
