"""The distributions that stence needs, as they are installed here, and the extras that may be missing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stence.errors import ConfigurationError

STENCE = "stence"
EXTRAS = ("training", "cpu")
"""The extras for running stence. ``test`` is for changing it."""
LONGEST_NAME = 80
"""Characters of a licence's name. Some distributions put the whole text in its place."""


class Licence(NamedTuple):
    """A distribution's licence in its own words."""

    text: str
    is_spdx: bool
    """True for an SPDX expression (PEP 639), False for a name."""


def require(extra: str, purpose: str) -> None:
    """Raise ConfigurationError if a package of ``extra`` is missing that ``purpose`` needs."""
    if absent := missing(extra):
        raise ConfigurationError(
            f"{purpose} needs the extra '{extra}', of which this host lacks {', '.join(absent)}: "
            f"pip install 'stence[{extra}]'."
        )


def missing(extra: str) -> list[str]:
    """Return the names of the distributions of ``extra`` that are not installed."""
    own = distribution(STENCE)
    wanted = {each.name for each in requirements(own, [extra])} - {each.name for each in requirements(own)}
    return sorted(name for name in wanted if installed(name) is None)


def installed(name: str) -> Distribution | None:
    """Return the installed distribution ``name``, None if there is none."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def requirements(of: Distribution, extras: Iterable[str] = ()) -> list[Requirement]:
    """Return what a distribution needs on this host, with ``extras``."""
    found = map(Requirement, of.requires or ())
    chosen = ("", *extras)
    return [
        each
        for each in found
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in chosen)
    ]


def needed() -> dict[str, Distribution]:
    """Return stence and every installed distribution that it needs, by canonical name, with EXTRAS."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(STENCE, frozenset(EXTRAS))]
    while waiting:
        name, extras = key = waiting.pop()
        if key in seen or (own := installed(name)) is None:
            continue
        seen.add(key)
        found[name] = own
        waiting += [
            (canonicalize_name(each.name), frozenset(each.extras)) for each in requirements(own, extras)
        ]
    return dict(sorted(found.items()))


def licence(of: Distribution) -> Licence | None:
    """Return the licence that a distribution states (Core metadata 2.4), None if it states none."""
    if expression := of.metadata.get("License-Expression"):
        return Licence(expression, is_spdx=True)
    for name in (of.metadata.get("License", ""), ", ".join(_classified(of))):
        if 0 < len(name) <= LONGEST_NAME and "\n" not in name and name != "UNKNOWN":
            return Licence(name, is_spdx=False)
    return None


def _classified(of: Distribution) -> list[str]:
    """The licences of the trove classifiers, ``License :: OSI Approved :: MIT License`` and the like."""
    classifiers = of.metadata.get_all("Classifier", [])
    found = [each.split(" :: ")[1:] for each in classifiers if each.startswith("License :: ")]
    return [parts[-1] for parts in found if parts != ["OSI Approved"]]
