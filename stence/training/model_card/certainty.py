"""What a model card says of the intervals of scores, and of ECGs that are unlike the training ECGs."""

from __future__ import annotations

from stence.domain.targets import DECISIVE
from stence.training.model_card.tables import Json, figure, plain


def certainty(found: Json | None) -> str:
    """Describe intervals and novelty as the test patients show them, or why there are none."""
    if found is None:
        return "Cannot tell: the scores of this model have neither."
    return f"{_intervals(found)}\n\n{_novelty(found)}"


def _intervals(found: Json) -> str:
    if "cannot_tell" in found:
        return f"Intervals: cannot tell. {plain(found['cannot_tell'])}"
    return (
        f"Intervals of {DECISIVE} are {found['mean_width']:.3f} wide on average over the test patients. "
        f"In {found['groups_held']} of {found['groups']} groups of referred test patients by risk, the share "
        f"of cases lay where the {found['draws']} draws behind the intervals foresee it with 95 %. The "
        "coverage for single patients cannot be measured on real ones; in simulation it can."
    )


def _novelty(found: Json) -> str:
    if "unlike" not in found:
        return f"Unlike ECGs: cannot tell. {plain(found['novelty_cannot_tell'])}"
    return (
        f"Share of the ECGs of {found['test_patients']} referred test patients that are said to be unlike: "
        f"{figure(found, 'unlike')}; of everybody screened 0.01."
    )
