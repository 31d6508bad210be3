"""Numbers and conclusions of a validation's report, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stence.domain.targets import DECISIVE

Json = Mapping[str, Any]

REASONS = {
    "patient_learned_from": "the model may have learned from the patient",
    "study_outside_window": "the study is outside the window",
    "ecg_at_other_site": "recorded at another site, or the site is not stated",
    "patient_without_study": "the patient has no cath study",
    "no_usable_ecg": "no usable ECG in the days before a study",
    "ecg_not_before_study": "not in the days before a study",
    "ecg_after_intervention": "after an intervention",
    "ecg_duplicate": "the same ECG again",
    "ecg_time_unknown": "its time is not known",
    "ecg_patient_conflict": "it arrived under two patients",
}


def reason_text(reason: str) -> str:
    """Return a reason for leaving out in words; a reason of an unusable ECG is its code.

    >>> reason_text("ecg_flat_lead")
    'unusable: flat_lead'
    """
    return REASONS.get(reason) or f"unusable: {reason.removeprefix('ecg_')}"


def figure(found: Json | None, digits: int = 3) -> str:
    """Format a metric and its interval; a dash if it is not defined.

    >>> figure({"value": 0.692, "lower": 0.61, "upper": 0.76})
    '0.692 (0.610 to 0.760)'
    """
    if not found or found["value"] is None:
        return "–"
    value, lower, upper = (f"{found[end]:.{digits}f}" for end in ("value", "lower", "upper"))
    return f"{value} ({lower} to {upper})"


def number(value: float | None, digits: int = 1) -> str:
    """Format a number; a dash if there is none.

    >>> number(64.25, 1), number(None)
    ('64.2', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def share(count: int, of: int) -> str:
    """Format a count and its percentage.

    >>> share(5, 20)
    '5 (25.0 %)'
    """
    return f"{count} ({100 * count / of:.1f} %)" if of else f"{count}"


def conclusions(report: Json) -> list[str]:
    """Return what the decisive target's figures say, in sentences."""
    found = report["targets"][DECISIVE]
    if "cannot_tell" in found:
        return [f"Nothing can be said of {DECISIVE}: {found['cannot_tell']}."]
    auroc, slope, ratio = (found[name] for name in ("auroc", "calibration_slope", "observed_to_expected"))
    return [
        f"AUROC of {DECISIVE}: {figure(auroc)}. {_against_card(auroc, report['model']['card'])}",
        f"Calibration slope {figure(slope)}: {_slope(slope)}",
        f"Observed over expected {figure(ratio)}: {_level(ratio)}",
        *(_benefit(row) for row in report["net_benefit"] if row["own"]),
    ]


def _against_card(auroc: Json, card: Json) -> str:
    on_card = card.get("auroc")
    if not on_card or on_card["value"] is None or auroc["value"] is None:
        return "The model card has no such figure to compare with."
    where = (
        "lies inside this interval"
        if auroc["lower"] <= on_card["value"] <= auroc["upper"]
        else f"lies {'above' if on_card['value'] > auroc['upper'] else 'below'} this interval"
    )
    return f"The value on the model card, {figure(on_card)}, {where}."


def _slope(slope: Json) -> str:
    if slope["value"] is None:
        return "cannot tell."
    if slope["upper"] < 1:
        return "the risks are too extreme, high ones too high and low ones too low."
    if slope["lower"] > 1:
        return "the risks are too close together."
    return "1, which is perfect, lies inside the interval."


def _level(ratio: Json) -> str:
    if ratio["value"] is None:
        return "cannot tell."
    if ratio["upper"] < 1:
        return "the predicted risks are too high for these patients."
    if ratio["lower"] > 1:
        return "the predicted risks are too low for these patients."
    return "1, which is perfect, lies inside the interval."


def _benefit(row: Json) -> str:
    gain = row["gain"]
    over = "over the better of flagging everybody and nobody"
    at = f"Net benefit at the model's threshold, {over}: {figure(gain)}."
    if gain["value"] is None:
        return f"{at} Cannot tell."
    if gain["lower"] > 0:
        return f"{at} It is above 0."
    return f"{at} " + ("It is below 0." if gain["upper"] < 0 else "A benefit is not shown: 0 lies inside.")
