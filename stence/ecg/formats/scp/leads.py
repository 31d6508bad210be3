"""Stored leads of SCP-ECG and their spans: section 3 (EN 1064, 5.6)."""

from __future__ import annotations

from typing import NamedTuple

from stence.ecg.formats.limits import Limits, check_size
from stence.ecg.formats.scp.sections import Section
from stence.ecg.leads import find_leads, lead_of_code
from stence.ecg.reasons import Reason, refuse

_SUBTRACTED, _SIMULTANEOUS, _GROUP_SHIFT = 1, 4, 3


class Span(NamedTuple):
    """First and last sample of a stored lead, counted from 1 in the whole recording."""

    first: int
    last: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.last - self.first + 1


class Leads(NamedTuple):
    """Spans of all stored leads, index of each needed lead, and True if reference beats were subtracted."""

    spans: list[Span]
    chosen: dict[str, int]
    is_subtracted: bool

    @property
    def whole(self) -> Span:
        """Span from the first to the last sample of any needed lead."""
        spans = [self.spans[index] for index in self.chosen.values()]
        return Span(min(span.first for span in spans), max(span.last for span in spans))


def read(section: Section, limits: Limits) -> Leads:
    """Return the leads. Raises UnusableEcgError if some are missing, empty, or of unknown time."""
    cursor = section.cursor()
    count, flags = cursor.number(1), cursor.number(1)
    check_size(count, 1, limits)
    spans, names = list[Span](), list[str | None]()
    for _ in range(count):
        spans.append(Span(cursor.number(4), cursor.number(4)))
        names.append(lead_of_code(f"5.6.3-9-{cursor.number(1)}"))
    leads = Leads(spans, find_leads(names), bool(flags & _SUBTRACTED))
    for name, index in leads.chosen.items():
        _check_span(name, spans[index])
    check_size(len(leads.chosen), leads.whole.samples, limits)
    _check_simultaneous(leads, flags)
    return leads


def _check_span(name: str, span: Span) -> None:
    if not 1 <= span.first <= span.last:
        detail = f"lead {name} goes from sample {span.first} to {span.last}"
        raise refuse(Reason.BROKEN_HEADER, detail, name, span.last)


def _check_simultaneous(leads: Leads, flags: int) -> None:
    """Refuse groups of leads that were recorded one after another, but are numbered from the same start."""
    group = flags >> _GROUP_SHIFT
    one_span = all(leads.spans[index] == leads.whole for index in leads.chosen.values())
    if one_span and not flags & _SIMULTANEOUS and 0 < group < len(leads.spans):
        detail = f"SCP-ECG with groups of {group} leads whose order in time the file does not give"
        raise refuse(Reason.UNSUPPORTED_FORMAT, detail, value=group)
