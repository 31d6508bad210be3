"""Alert rules: read from a YAML file, and applied to the metrics of some days.

A rule examines one metric (the first of ``when``) in one kind of slice, on ``for_days`` days in a row. Its
findings are grouped by cause: rule, model, and the part of the slice that ``per`` names. Metrics of one
cause, such as twelve leads of one machine, make one finding.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator

from stence.monitoring.alerts import Cause, Finding
from stence.monitoring.metrics import Metric
from stence.monitoring.names import NAMES
from stence.presets import read_config
from stence.settings import Settings

SIGNS = {"<": operator.lt, ">": operator.gt}
TERM = re.compile(
    r"(?P<metric>[a-z]\w*)(?:\.(?P<end>lower|upper))? (?P<sign>[<>]) "
    r"(?:(?:(?P<factor>\d+(?:\.\d+)?) \* )?(?P<other>[a-z]\w*)(?:\.(?P<other_end>lower|upper))?"
    r"|(?P<number>-?\d+(?:\.\d+)?))"
)
FOLDER = Path(__file__).parent
SHIPPED = "rules"
NAMED = 4
"""Number of metrics that a finding names; further metrics are counted."""

Place: TypeAlias = tuple[str | None, str | None, str | None]
Figures: TypeAlias = Mapping[tuple[str, Place], Metric]
"""The metrics of a day by name and place: model, slice key, slice value."""


class Term(NamedTuple):
    """One comparison: metric[.lower|.upper] > or < a number, or factor x another metric of the same slice."""

    metric: str
    end: str | None
    sign: str
    factor: float
    other: str | None
    other_end: str | None

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Parse a comparison. The ValueError names the error."""
        found = TERM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not of the form: metric > number, or metric < 1.5 * other.upper")
        for name in (found["metric"], found["other"]):
            if name is not None and name not in NAMES:
                raise ValueError(f"there is no metric {name!r}")
        factor = float(found["number"] or found["factor"] or 1)
        return cls(found["metric"], found["end"], found["sign"], factor, found["other"], found["other_end"])

    def holds(self, figures: Figures, place: Place) -> bool:
        """True if the comparison holds; False if a metric is missing."""
        value, bound = _read(figures, self.metric, self.end, place), self.factor
        if self.other is not None:
            other = _read(figures, self.other, self.other_end, place)
            if other is None:
                return False
            bound *= other
        return value is not None and bool(SIGNS[self.sign](value, bound))


def _read(figures: Figures, name: str, end: str | None, place: Place) -> float | None:
    metric = figures.get((name, place))
    return None if metric is None else getattr(metric, end or "value")


class Rule(BaseModel):
    """An alert rule: condition, severity, and the alert's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str = Field(description="Terms joined by 'and', e.g. input_ks > 0.2 and input_ks_p < 0.001.")
    slice: str | None = Field(None, description="Slice key of the metrics; empty: metrics without a slice.")
    only: dict[str, str] = Field({}, description="Only parts of the slice that match, e.g. r_mv.*.")
    per: str | None = Field(None, description="One alert for each value of this part; empty: one alert.")
    for_days: int = Field(1, ge=1, le=31, description="Number of days in a row.")
    unless: tuple[str, ...] = Field((), description="Rules whose findings on the same day explain this.")
    severity: Literal["info", "warning", "critical"]
    means: str = Field(min_length=1, description="Meaning of the alert, in plain words.")
    do: str = Field(min_length=1, description="What to do.")

    @field_validator("when")
    @classmethod
    def _readable(cls, value: str) -> str:
        for text in value.split(" and "):
            Term.of_text(text)
        return value

    @model_validator(mode="after")
    def _parts_exist(self) -> Self:
        if unknown := sorted({*self.only, *([self.per] if self.per else [])} - set(self.parts)):
            raise ValueError(f"the slice {self.slice or '(none)'} has no part {', '.join(unknown)}")
        return self

    @property
    def parts(self) -> list[str]:
        """The parts of the slice: ``measure|device`` has two."""
        return self.slice.split("|") if self.slice else []

    @property
    def terms(self) -> list[Term]:
        """The terms of ``when``."""
        return [Term.of_text(text) for text in self.when.split(" and ")]

    def split(self, metric: Metric) -> dict[str, str]:
        """The parts of a metric's slice, by name."""
        values = (metric.slice_value or "").split("|", max(len(self.parts) - 1, 0))
        return dict(zip(self.parts, values, strict=False))

    def covers(self, metric: Metric) -> bool:
        """True if the rule examines this metric."""
        if metric.name != self.terms[0].metric or metric.slice_key != self.slice:
            return False
        values = self.split(metric)
        return all(fnmatchcase(values.get(part, ""), pattern) for part, pattern in self.only.items())


class Rules(RootModel[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Rule]]):
    """All rules by name."""

    @property
    def longest(self) -> int:
        """The largest ``for_days`` of all rules."""
        return max((rule.for_days for rule in self.root.values()), default=1)

    @model_validator(mode="after")
    def _explained_by_rules(self) -> Self:
        for name, rule in self.root.items():
            if unknown := sorted(set(rule.unless) - self.root.keys()):
                raise ValueError(f"{name}.unless: there is no rule {', '.join(unknown)}")
        return self


def load_rules(settings: Settings) -> Rules:
    """Load the rules of ``settings.alert_rules``, or the shipped rules.

    Raises ConfigurationError, which names the rule and its error.
    """
    own = settings.alert_rules
    return read_config(str(own) if own else SHIPPED, FOLDER, Rules, "alert rules")


def find(rules: Rules, days: Sequence[Sequence[Metric]]) -> list[Finding]:
    """Apply the rules to the metrics of ``days``, newest first; one finding per cause of the newest day.

    Causes without a metric on the newest day are left out: their state is unknown.
    """
    indexed = [{(m.name, _place(m)): m for m in day} for day in days]
    found = {name: _causes(name, rule, days[0], indexed) for name, rule in rules.root.items()}
    active = {name for name, causes in found.items() if any(hits for _, hits in causes.values())}
    return [
        _finding(cause, rules.root[name], first, hits if active.isdisjoint(rules.root[name].unless) else [])
        for name, causes in found.items()
        for cause, (first, hits) in causes.items()
    ]


def _place(metric: Metric) -> Place:
    return metric.model_version, metric.slice_key, metric.slice_value


def _causes(
    name: str, rule: Rule, today: Sequence[Metric], days: Sequence[Figures]
) -> dict[Cause, tuple[Metric, list[Metric]]]:
    """Per cause: first metric examined, and all that satisfy the rule."""
    causes: dict[Cause, tuple[Metric, list[Metric]]] = {}
    asked, terms = days[: rule.for_days], rule.terms
    for metric in filter(rule.covers, today):
        value = rule.split(metric)[rule.per] if rule.per else None
        _, hits = causes.setdefault(Cause(name, metric.model_version, rule.per, value), (metric, []))
        holds = all(term.holds(figures, _place(metric)) for figures in asked for term in terms)
        if holds and len(asked) == rule.for_days:
            hits.append(metric)
    return causes


def _finding(cause: Cause, rule: Rule, first: Metric, hits: list[Metric]) -> Finding:
    sign = rule.terms[0].sign
    worst = (max if sign == ">" else min)(hits or [first], key=lambda metric: metric.value)
    return Finding(
        cause, bool(hits), rule.severity, worst.name, worst.value, _detail(cause, rule, worst, hits)
    )


def _detail(cause: Cause, rule: Rule, worst: Metric, hits: list[Metric]) -> str:
    about = f" {cause.slice_key.capitalize()}: {cause.slice_value}." if cause.slice_key else ""
    others = [part for part in rule.parts if part != rule.per]
    names = [" ".join(rule.split(metric)[part] for part in others) for metric in hits] if others else []
    named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    where = f" in {named}" if named else ""
    rested = "" if worst.count is None else f", {worst.count} observations"
    figure = f"{NAMES[worst.name]}: {worst.value:.3g}{where}{rested} (rule: {rule.when})."
    return f"{rule.means.strip()}{about} {figure} {rule.do.strip()}"
