"""How a cath report answers the six targets."""

from __future__ import annotations

import numpy as np
import pytest

from stence.models import TARGET_NAMES, labels
from stence.models.coherence import answers

NAN = float("nan")


def degrees(**narrowed: float) -> list[float]:
    """16 segments, ``s5=70`` meaning segment 5 narrowed by 70 %."""
    return [narrowed.get(f"s{segment}", 0.0) for segment in range(1, 17)]


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        #                              50   70   90   100  RCA  LCA
        ({}, (0, 0, 0, 0, 0, 0)),
        ({"s6": 49.9}, (0, 0, 0, 0, 0, 0)),
        ({"s6": 50}, (1, 0, 0, 0, 0, 0)),
        ({"s2": 70}, (1, 1, 0, 0, 1, 0)),
        ({"s5": 90}, (1, 1, 1, 0, 0, 1)),
        ({"s1": 100, "s13": 75}, (1, 1, 1, 1, 1, 1)),
        # a narrowed minor segment alone settles nothing where it reaches the threshold
        ({"s9": 80}, (NAN, NAN, 0, 0, 0, NAN)),
        ({"s4": 100}, (NAN, NAN, NAN, NAN, NAN, 0)),
        # and nothing more where a major one does
        ({"s9": 100, "s6": 70}, (1, 1, NAN, NAN, 0, 1)),
        ({"s4": 95, "s7": 75}, (1, 1, NAN, 0, NAN, 1)),
    ],
)
def test_major_segments_decide_and_minor_ones_unsettle(
    narrowed: dict[str, float], expected: tuple[float, ...]
) -> None:
    np.testing.assert_array_equal(labels(degrees(**narrowed)), np.array(expected, np.float32))


@pytest.mark.parametrize("wrong", [[0.0] * 15, degrees(s3=-1), degrees(s3=101), degrees(s3=NAN)])
def test_other_degrees_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected 16 degrees of 0\.\.100 percent"):
        labels(wrong)


def test_a_question_is_asked_where_the_one_before_was_answered_yes() -> None:
    studies = np.stack(
        [
            labels(degrees(**narrowed))
            for narrowed in ({}, {"s6": 60}, {"s6": 75}, {"s1": 95}, {"s9": 80}, {"s4": 95, "s7": 75})
        ]
    )
    assert TARGET_NAMES == (
        "stenosis_50", "stenosis_70", "stenosis_90", "stenosis_100", "rca_70", "lca_70"
    )  # fmt: skip
    expected = [
        [0, NAN, NAN, NAN, NAN, NAN],
        [1, 0, NAN, NAN, NAN, NAN],
        [1, 1, 0, NAN, 0, NAN],
        [1, 1, 1, 0, 1, 0],
        [NAN, NAN, NAN, NAN, NAN, NAN],
        [1, 1, NAN, NAN, NAN, NAN],  # nor where the one before is not settled
    ]
    np.testing.assert_array_equal(answers(studies), np.array(expected, np.float32))
