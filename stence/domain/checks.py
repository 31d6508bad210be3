"""Checks of a model with three answers: passed, failed, or the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """Result of a check. ``CANNOT_TELL``: the data are too few to answer, either way."""

    PASSED = "passed"
    FAILED = "failed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one criterion: name, result, and the finding with its values.

    A check that does not ``decide`` leaves the verdict as it is if it cannot tell; if it fails, the verdict
    fails.
    """

    name: str
    result: Result
    finding: str
    decides: bool = True

    @property
    def passed(self) -> bool:
        """True if it passed."""
        return self.result is Result.PASSED

    def as_json(self) -> dict[str, str]:
        """The check as JSON."""
        return {"name": self.name, "result": self.result.value, "finding": self.finding}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of a model, and whether it was shown to be ``better`` than the champion.

    >>> Verdict((Check("a", Result.PASSED, ""), Check("b", Result.CANNOT_TELL, "few"))).result.value
    'cannot tell'
    """

    checks: tuple[Check, ...]
    better: bool = False

    @property
    def result(self) -> Result:
        """Failed if any check failed; else "cannot tell" if a deciding check cannot tell; else passed."""
        if any(check.result is Result.FAILED for check in self.checks):
            return Result.FAILED
        undecided = any(check.decides and check.result is Result.CANNOT_TELL for check in self.checks)
        return Result.CANNOT_TELL if undecided else Result.PASSED

    @property
    def passed(self) -> bool:
        """True if no check failed and every deciding check passed."""
        return self.result is Result.PASSED

    @property
    def responsible(self) -> list[Check]:
        """Checks that made the result: the failed ones, else those that cannot tell; none if it passed."""
        made = [check for check in self.checks if check.result is self.result and not self.passed]
        return [check for check in made if check.decides or check.result is Result.FAILED]

    @property
    def reasons(self) -> list[str]:
        """Findings of the checks that made the result."""
        return [check.finding for check in self.responsible]

    def text(self, subject: str = "the gate") -> str:
        """The verdict in one line, for a history: the reasons, or else all findings."""
        if self.passed:
            return f"passed {subject}: {'; '.join(check.finding for check in self.checks)}"
        verb = "failed" if self.result is Result.FAILED else "left open by"
        return f"{verb} {subject}: {'; '.join(self.reasons)}"

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON for the manifest."""
        checks = [check.as_json() for check in self.checks]
        decided = {"passed": self.passed, "result": self.result.value, "better": self.better}
        return decided | {"checks": checks}
