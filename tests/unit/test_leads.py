"""Channel names and codes, and the limb leads that follow from two others."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from stence.ecg import LEADS, Reason, UnusableEcgError
from stence.ecg.leads import complete, find_leads, is_lead_code, lead_of_code, lead_of_name

CHEST = LEADS[6:]


def limb_leads() -> np.ndarray:
    one, two = np.random.default_rng(3).normal(size=(2, 50))
    return np.array([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2], dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("i", "I"), (" AVR ", "aVR"), ("avf", "aVF"), ("v6", "V6"), ("Lead II", "II"), ("ECG Lead V1", "V1"),
        ("MDC_ECG_LEAD_AVL", "aVL"), ("Lead I (Einthoven)", "I"), ("DII", "II"), ("D3", "III"), ("C4", "V4"),
        ("V 1", "V1"), ("aV_R", "aVR"), ("D II", "II"), ("V4 (Wilson)", "V4"), ("avf(goldberger)", "aVF"),
        ("I (mV)", "I"), ("V2 (\u00b5V)", "V2"), ("C1 (IEC)", "V1"), ("Lead V3 ( standard )", "V3"),
        ("MLII", None), ("V7", None), ("vx", None), ("", None), ("-aVR", None),
        ("V4(R)", None), ("aVR (inverted)", None), ("V1 (posterior)", None), ("II (Mason-Likar)", None),
        ("aVR (-)", None), ("V4 (right) (Wilson)", None), ("I(\0)", None), ("V4R", None), ("(Wilson)", None),
        ("I II", None), ("I_I", None), ("V1 2", None), ("V4 [R]", None), ("II (V5)", None),
        ("V1" + " " * 62, "V1"), ("V1" + " " * 63, None), ("C6", "V6"), ("C7", None), ("DIII", "III"),
        ("I ((mV))", None), ("V1" + " " * 80, None), ("(" * 80_000, None), ("I" + "(a" * 40_000 + ")", None),
    ],
)  # fmt: skip
def test_names(name: str, lead: str | None):
    assert lead_of_name(name) == lead


@pytest.mark.parametrize(
    ("code", "lead"),
    [
        ("2:1", "I"),
        ("2:8", "V6"),
        ("2:62", "aVR"),
        ("5.6.3-9-61", "III"),
        ("2:9", None),
        ("x", None),
        ("2:0", None),
        ("2:" + "1" * 9000, None),
        ("2:\u0661", None),
    ],
)
def test_codes(code: str, lead: str | None):
    assert lead_of_code(code) == lead


def test_a_code_decides_unless_it_says_nothing():
    assert [is_lead_code(code) for code in ("2:1", "2:9", "5.6.3-9-70")] == [True] * 3
    assert [is_lead_code(code) for code in ("2:0", "", "V4", "99:1")] == [False] * 4


@pytest.mark.parametrize("pair", list(combinations(LEADS[:6], 2)))
def test_any_two_limb_leads_give_the_other_four(pair: tuple[str, str]):
    limbs, chest = limb_leads(), np.ones((6, 50), dtype=np.float32)
    stored = find_leads([*pair, *CHEST])
    signal = np.vstack([limbs[[LEADS.index(lead) for lead in pair]], chest])
    full = complete(list(stored), signal)
    np.testing.assert_allclose(full[:6], limbs, atol=1e-5)
    np.testing.assert_array_equal(full[6:], chest)
    assert full.dtype == np.float32


def test_stored_leads_are_kept_as_they_are():
    limbs = limb_leads()
    limbs[3] += 1  # a stored aVR is what the machine measured, whatever the others say
    stored = [lead for lead in LEADS if lead != "III"]
    full = complete(stored, np.vstack([np.delete(limbs, 2, axis=0), np.zeros((6, 50), np.float32)]))
    np.testing.assert_array_equal(full[3], limbs[3])
    np.testing.assert_allclose(full[2], limbs[2], atol=1e-6)


@pytest.mark.parametrize(
    "channels",
    [
        [*LEADS, "II"],
        ["V1", *LEADS],
        [lead for lead in LEADS if lead != "III"] + ["aVF"],  # III follows from the others
        [lead_of_name(name) for name in (*LEADS, "Lead II (Einthoven)")],
        [lead_of_name(name) for name in (*LEADS, "C1")],
        [*map(lead_of_code, ("2:1", "5.6.3-9-1")), *LEADS[1:]],
    ],
)
def test_two_channels_of_one_lead_are_refused(channels: list[str | None]):
    with pytest.raises(UnusableEcgError) as caught:
        find_leads(channels)
    assert caught.value.finding.reason is Reason.DOUBLED_LEAD
    assert caught.value.finding.lead in LEADS


def test_unknown_channels_may_share_a_name():
    assert len(find_leads([*LEADS, None, None])) == 12


@pytest.mark.parametrize("channels", [LEADS[:6], ("I", *CHEST), (None,) * 12, LEADS[:11]])
def test_undetermined_leads_are_named_in_the_refusal(channels: tuple[str | None, ...]):
    with pytest.raises(UnusableEcgError) as caught:
        find_leads(channels)
    assert caught.value.finding.reason is Reason.MISSING_LEADS
    absent = next(lead for lead in reversed(LEADS) if lead not in channels)
    assert absent in caught.value.finding.detail
