"""C-arm angulation: one pair of angles per run (DICOM PS3.3 C.8.7.5, C.8.19.6.10)."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from stence.angiography.reasons import Reason, refuse
from stence.dicom import MAX_VALUES_BYTES, items, value

STATIC_DEGREES = 2.0
"""Maximum turn of a C-arm that counts as static during a run; reports give whole degrees."""
_AXES = {
    "primary": ("PositionerPrimaryAngle", "PositionerPrimaryAngleIncrement", 180.0),
    "secondary": ("PositionerSecondaryAngle", "PositionerSecondaryAngleIncrement", 90.0),
}


def c_arm_angles(dataset: Dataset, frames: int) -> tuple[float, float]:
    """Return primary (LAO positive) and secondary (cranial positive) angle of the first frame, in degrees.

    Raises UnusableAngiogramError if they are missing, out of range, or change during the run.
    """
    places = _positions(dataset) or [dataset]
    primary, secondary = (_angle(places, axis, frames) for axis in _AXES)
    return primary, secondary


def _positions(dataset: Dataset) -> list[Dataset]:
    """Return the positioner macro of each frame, or the shared macro; only enhanced objects have it."""
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        groups = items(dataset, keyword)
        found = [position for group in groups for position in items(group, "PositionerPositionSequence")]
        if found:
            return found
    return []


def _angle(places: list[Dataset], axis: str, frames: int) -> float:
    keyword, increment_keyword, limit = _AXES[axis]
    angles = [_number(value(item, keyword), axis) for item in places]
    if len(angles) == 1:
        offsets = _offsets(value(places[0], increment_keyword, MAX_VALUES_BYTES), axis, frames)
        angles = [angles[0] + offset for offset in offsets]
    if max(angles) - min(angles) > STATIC_DEGREES:
        turn = max(angles) - min(angles)
        raise refuse(Reason.ROTATING, f"the C-arm turns by {turn:.0f} degrees during the run ({axis} angle)")
    if abs(angles[0]) > limit:
        what = f"the C-arm's {axis} angle is out of range: {angles[0]:g} degrees"
        raise refuse(Reason.ANGLES_MISSING, what)
    return angles[0]


def _offsets(increment: object, axis: str, frames: int) -> list[float]:
    """Offsets of the frames from the stated angle (C.8.7.5.1.3): one value is a step, several are offsets."""
    if increment is None or increment == "":
        return [0.0]
    if isinstance(increment, (str, int, float)):
        return [0.0, _number(increment, axis) * (frames - 1)]
    return [_number(value, axis) for value in list(increment)] or [0.0]  # type: ignore[call-overload]


def _number(value: object, axis: str) -> float:
    """Parse a decimal string. Raises UnusableAngiogramError if it is not a finite number."""
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise refuse(Reason.ANGLES_MISSING, f"the file does not give the C-arm's {axis} angle")
    return number
