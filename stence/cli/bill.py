"""Bill of materials of this installation, in the format CycloneDX 1.6 (ECMA-424)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from stence.dependencies import EXTRAS, STENCE, licence, requirements


def bill_of_materials(distributions: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return the bill of stence and the ``distributions`` that it needs, by canonical name."""
    parts = {name: _component(name, each) for name, each in distributions.items()}
    own = parts.pop(STENCE) | {"type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid4().urn,
        "version": 1,
        "metadata": {"timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "component": own},
        "components": list(parts.values()),
        "dependencies": [_edges(name, distributions) for name in distributions],
    }


def _component(name: str, of: Distribution) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference(name, of),
        "name": name,
        "version": of.version,
        "purl": reference(name, of),
    }
    if stated := licence(of):
        known = {"expression": stated.text} if stated.is_spdx else {"license": {"name": stated.text}}
        found["licenses"] = [known]
    return found


def reference(name: str, of: Distribution) -> str:
    """Return the package URL of a distribution from PyPI."""
    return f"pkg:pypi/{name}@{quote(of.version, safe='')}"


def _edges(name: str, distributions: Mapping[str, Distribution]) -> dict[str, Any]:
    """What a distribution needs of the others."""
    of = distributions[name]
    needs = {canonicalize_name(each.name) for each in requirements(of, EXTRAS if name == STENCE else ())}
    return {
        "ref": reference(name, of),
        "dependsOn": sorted(
            reference(need, distributions[need]) for need in needs & distributions.keys() - {name}
        ),
    }
