"""A message as a FHIR transaction: a server carries out all of it or nothing, and twice is the same as once.

Model and card never change: they are created unless they exist. So is a first risk assessment; later ones
replace it, as the ECG is replaced every time. A Provenance has no identifier in R4, so it is known by a tag.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from stence.export import resources
from stence.export.messages import NAMESPACE, Message
from stence.export.patients import PatientNames

Entry = dict[str, Any]


def transaction(message: Message, names: PatientNames, store_url: str) -> dict[str, Any]:
    """Return the Bundle of a message. ``store_url`` leads to the model card."""
    card_resource = resources.model_card(message, store_url)
    card = _create(card_resource) if card_resource else None
    card_url = card["fullUrl"] if card else None
    device = _create(resources.model(message, card_url))
    ecg = _replace(resources.ecg(message, names))
    urls = {"device": device["fullUrl"], "basis": ecg["fullUrl"]}
    found = resources.risk_assessment(message, names, **urls)
    risk = _create(found) if message.status == "final" else _replace(found)
    origin = _create(resources.provenance(message, risk["fullUrl"], **urls, card=card_url))
    entries = [entry for entry in (card, device, ecg, risk, origin) if entry]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def risk_assessment_in(bundle: dict[str, Any]) -> int:
    """Return the place of the RiskAssessment among the entries."""
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    return kinds.index("RiskAssessment")


def _create(resource: resources.Resource) -> Entry:
    """Create the resource unless the server has it (conditional create)."""
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": _known_by(resource)}
    return {"fullUrl": _url(resource), "resource": resource, "request": request}


def _replace(resource: resources.Resource) -> Entry:
    """Replace the server's resource, or create it (conditional update)."""
    url = f"{resource['resourceType']}?{_known_by(resource)}"
    return {"fullUrl": _url(resource), "resource": resource, "request": {"method": "PUT", "url": url}}


def _known_by(resource: resources.Resource) -> str:
    """Return the search that finds the resource: by identifier, or by tag."""
    if "identifier" in resource:
        identifier = resource["identifier"][0]
        return f"identifier={quote(identifier['system'] + '|' + identifier['value'], safe='')}"
    tag = resource["meta"]["tag"][0]
    return f"_tag={quote(tag['system'] + '|' + tag['code'], safe='')}"


def _url(resource: resources.Resource) -> str:
    """Return the URL by which other entries of the bundle refer to the resource."""
    return uuid.uuid5(NAMESPACE, f"{resource['resourceType']} {_known_by(resource)}").urn
