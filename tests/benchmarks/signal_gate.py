"""The signal's quality check on real ECGs: those with real noise of other records, set-a, LUDB and CinC 2021.

python tests/benchmarks/signal_gate.py [SHARED]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stence.ecg import LEADS, POLICY, Action, Finding, Reason, Recording, check, read
from support.noisy_ecgs import WANDER_HZ, exchanged_arms, noisy, set_a, sound

SHARED = Path(__file__).resolve().parents[3] / "shared"
BAD, GOOD = 1.5, 11.0
"""Decibels: a lead with less is bad, one with more is good; what lies between is not counted by lead."""


def refusing(recording: Recording) -> list[Finding]:
    return [finding for finding in check(recording) if POLICY[finding.reason] is Action.QUARANTINE]


def share(outcomes: Iterable[bool]) -> str:
    """Share with its 95 % interval (Wilson 1927)."""
    found = np.array(list(outcomes), dtype=float)
    n, p, z = len(found), found.mean(), 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{p:.3f} [{max(0, middle - half):.3f}, {min(1, middle + half):.3f}] of {n}"


def row(population: str, *cells: str) -> None:
    print(f"{population:<44}" + "".join(f"{cell:<32}" for cell in cells))


def artefacts(shared: Path, half: int, above: float, *levels: float) -> None:
    ecgs = [ecg for level in levels for ecg in noisy(shared, half, level, above)]
    findings = [refusing(ecg.recording) for ecg in ecgs]
    named = [np.isin(LEADS, [finding.lead for finding in found]) for found in findings]
    bad = [hit[ecg.decibels < BAD] for ecg, hit in zip(ecgs, named, strict=True)]
    good = [hit[ecg.decibels > GOOD] for ecg, hit in zip(ecgs, named, strict=True)]
    row(
        f"{' and '.join(f'{level:g}' for level in levels)} dB of noise above {above:g} Hz",
        share(bool(found) for found in findings),
        share(np.concatenate(bad)) if min(levels) < GOOD - 5 and len(np.concatenate(bad)) else "",
        share(~np.concatenate(good)),
    )


def synthetic(shared: Path, half: int) -> None:
    row(f"-- half {half}", "ECGs refused", "bad leads found", "good leads not found")
    row("as they are", share(bool(refusing(ecg)) for _, ecg in sound(shared, half)))
    for above in (WANDER_HZ, 0.0):
        for levels in ((12.0,), (0.0,), (-6.0,), (0.0, -6.0)):
            artefacts(shared, half, above, *levels)


def published(shared: Path) -> None:
    row("-- as published", "ECGs refused", "and with a warning")
    for folder in ("ludb", "cinc2021"):
        ecgs = [read(header) for header in sorted((shared / "data" / folder).glob("*.hea"))]
        contradict = [Reason.LIMB_LEADS_CONTRADICT in {f.reason for f in check(ecg)} for ecg in ecgs]
        row(folder, share(bool(refusing(ecg)) for ecg in ecgs), f"{share(contradict)} contradict")
    for quality in ("acceptable", "unacceptable"):
        for half in (0, 1):
            ecgs = [ecg for ecg, label in list(set_a(shared).values())[half::2] if label == quality]
            row(f"set-a, {quality}, half {half}", share(bool(refusing(ecg)) for ecg in ecgs))


def reversal(shared: Path) -> None:
    row("-- arm electrodes", "found where exchanged", "found as they are")
    for folder in ("ludb", "cinc2021"):
        ecgs = [read(header) for header in sorted((shared / "data" / folder).glob("*.hea"))]
        row(folder, share(reversed_arms(exchanged_arms(e)) for e in ecgs), share(map(reversed_arms, ecgs)))


def reversed_arms(recording: Recording) -> bool:
    return Reason.LIMB_LEAD_REVERSAL in {finding.reason for finding in check(recording)}


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    for half in (0, 1):
        synthetic(shared, half)
    published(shared)
    reversal(shared)


if __name__ == "__main__":
    main()
