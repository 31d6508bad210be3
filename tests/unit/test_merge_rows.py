"""Merged patient numbers are followed to the end of their chain, and never in a circle."""

from __future__ import annotations

import pytest

from stence.errors import PatientMergeError
from stence.ingest.merge_rows import present_numbers


def test_a_chain_is_followed_to_its_end() -> None:
    assert present_numbers({"A": "B", "B": "C", "X": "C"}) == {"A": "C", "B": "C", "X": "C"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("circle", [{"A": "A"}, {"A": "B", "B": "A"}, {"X": "A", "A": "B", "B": "A"}])
def test_a_circle_is_refused_instead_of_followed_for_ever(circle: dict[str, str]) -> None:
    with pytest.raises(PatientMergeError, match="circle"):
        present_numbers(circle)
