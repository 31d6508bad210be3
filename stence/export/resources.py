"""FHIR R4 resources of a message: model card, model, ECG, risk assessment and provenance.

They follow AI Transparency on FHIR (HL7, ballot of 2026): the security label AIAST, a Device of the type
Artificial-Intelligence that points to its model card, and a Provenance that names it. They claim no profile.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from stence.domain.targets import TARGETS, Region
from stence.export.messages import NAMESPACE, WITHDRAWN, Message
from stence.export.patients import PatientNames

Resource = dict[str, Any]

URI = "urn:ietf:rfc:3986"
"""System of identifiers that are URIs."""
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
AI = "http://hl7.org/fhir/uv/aitransparency"
AI_ASSERTED = {
    "system": f"{TERMINOLOGY}/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
AI_TYPE = {"system": f"{AI}/CodeSystem/AIdeviceTypeCS", "code": "Artificial-Intelligence"}
AI_KIND = {"system": f"{AI}/CodeSystem/AIdeviceTypeCS", "code": "Deep-Learning-Models"}
PATIENT_UNCLEAR = ("patient_conflict", "patient_unclear")
ACTIVITIES = {"final": "CREATE", "corrected": "UPDATE", WITHDRAWN: "NULLIFY"}
REGIONS = {
    Region.ANY: "of a coronary artery",
    Region.RCA: "of the right coronary artery",
    Region.LCA: "of the left coronary artery",
}
OUTCOMES = {t.name: f"Stenosis {REGIONS[t.region]} of at least {t.degree} %" for t in TARGETS}
WITHDRAWALS = {
    "replaced": "the file of the ECG was replaced",
    "patient_conflict": "two sources name different patients for the ECG",
    "patient_unclear": "the patient of the ECG is not certain",
    "model_retired": "the model is not in use any more",
    "by_person": "a person withdrew it",
    "opted_out": "the patient has opted out",
}


def subject(message: Message, names: PatientNames) -> Resource:
    """Return the reference to the patient. A server resolves the hospital's own number to its Patient."""
    number = message.patient_id
    reference: Resource = {"type": "Patient", "identifier": {"system": names.system, "value": number}}
    if names.by_number:
        reference["reference"] = "Patient?" + urlencode({"identifier": f"{names.system}|{number}"})
    return reference


def model_card(message: Message, store_url: str) -> Resource | None:
    """Return a reference to the model's card in the store; None if the model has none."""
    found = {key.rpartition("/")[2]: (key, sha256) for key, sha256 in message.card.items()}
    if "card.md" not in found:
        return None
    key, sha256 = found["card.md"]
    kind = f"{AI}/CodeSystem/AIinputsCS"
    attachment = {
        "contentType": "text/markdown",
        "url": f"{store_url}/{quote(key)}",
        "title": f"Model card of {message.model_version}",
    }
    return {
        "resourceType": "DocumentReference",
        "identifier": [_hash(sha256)],
        "status": "current",
        "type": {"coding": [{"system": kind, "code": "AIModelCard"}]},
        "category": [{"coding": [{"system": kind, "code": "AIModelCardMarkdownFormat"}]}],
        "content": [{"attachment": attachment}],
    }


def model(message: Message, card: str | None) -> Resource:
    """Return the model version. ``card`` is the URL of its card's entry."""
    extensions = [
        {
            "url": f"{AI}/StructureDefinition/aitransparency.AIKind",
            "valueCodeableConcept": {"coding": [AI_KIND]},
        }
    ]
    if card is not None:
        url = f"{AI}/StructureDefinition/aitransparency.modelCardDescription"
        extensions.append({"url": url, "valueReference": {"reference": card}})
    return {
        "resourceType": "Device",
        "extension": extensions,
        "identifier": [_hash(message.model_sha256) | {"type": {"text": "SHA-256 of the model's manifest"}}],
        "deviceName": [{"name": f"stence {message.model_version}", "type": "model-name"}],
        "type": {"coding": [AI_TYPE]},
        "version": [{"value": message.model_version}],
    }


def ecg(message: Message, names: PatientNames) -> Resource:
    """Return the ECG: its time and patient, and no link to its file, whose name may be personal."""
    attachment = {"title": "12-lead ECG"}
    if message.acquired_at is not None:
        attachment["creation"] = message.acquired_at.isoformat()
    return {
        "resourceType": "DocumentReference",
        "identifier": [_hash(message.content_hash.hex()) | {"type": {"text": "SHA-256 of the ECG's signal"}}],
        "status": WITHDRAWN if message.withdrawn_for in PATIENT_UNCLEAR else "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11524-6", "display": "EKG study"}]},
        "subject": subject(message, names),
        "content": [{"attachment": attachment}],
    }


def risk_assessment(message: Message, names: PatientNames, device: str, basis: str) -> Resource:
    """Return the flag. ``device`` and ``basis`` are the URLs of the entries of model and ECG."""
    return {
        "resourceType": "RiskAssessment",
        "meta": {"security": [AI_ASSERTED]},
        "identifier": [{"system": URI, "value": message.identifier.urn}],
        "status": message.status,
        "method": {"text": f"stence, model {message.model_version}, from a 12-lead ECG"},
        "code": {"text": "Risk of severe coronary stenosis"},
        "subject": subject(message, names),
        "occurrenceDateTime": (message.scored_at or message.raised_at).isoformat(),
        "performer": {"reference": device},
        "basis": [{"reference": basis}],
        "prediction": [_prediction(message, target) for target in message.probabilities],
        "note": [{"time": message.planned_at.isoformat(), "text": _note(message)}],
    }


def provenance(message: Message, target: str, *, device: str, basis: str, card: str | None) -> Resource:
    """Return who made the risk assessment ``target``, when, and of what; arguments are URLs of entries."""
    entities = [{"role": "source", "what": {"reference": basis}}]
    if message.run_id is not None:
        run = {"identifier": {"system": URI, "value": message.run_id.urn}, "display": "scoring run"}
        entities.append({"role": "source", "what": run})
    if card is not None:
        entities.append({"role": "derivation", "what": {"reference": card}})
    agent = {
        "type": {"coding": [{"system": f"{TERMINOLOGY}/provenance-participant-type", "code": "author"}]},
        "role": [{"coding": [AI_TYPE]}],
        "who": {"reference": device},
    }
    activity = {"system": f"{TERMINOLOGY}/v3-DataOperation", "code": ACTIVITIES[message.status]}
    return {
        "resourceType": "Provenance",
        "meta": {
            "security": [AI_ASSERTED],
            "tag": [{"system": NAMESPACE.urn, "code": str(message.edition)}],
        },
        "target": [{"reference": target}],
        "occurredDateTime": (message.scored_at or message.raised_at).isoformat(),
        "recorded": message.planned_at.isoformat(),
        "reason": [{"coding": [AI_ASSERTED]}],
        "activity": {"coding": [activity]},
        "agent": [agent],
        "entity": entities,
    }


def _hash(sha256: str) -> dict[str, Any]:
    """Return a SHA-256 in hexadecimal as an identifier (RFC 6920, section 7)."""
    return {"system": URI, "value": f"nih:sha-256;{sha256}"}


def _prediction(message: Message, target: str) -> Resource:
    """Return the probability of a target, in percent, as R4 asks for; of the flag's target also in a word."""
    prediction: Resource = {
        "outcome": {"text": OUTCOMES[target]},
        "probabilityDecimal": round(100 * message.probabilities[target], 4),
    }
    if target == message.target:
        high = {"system": f"{TERMINOLOGY}/risk-probability", "code": "high", "display": "High likelihood"}
        prediction["qualitativeRisk"] = {"coding": [high]}
    return prediction


def _note(message: Message) -> str:
    text = (
        f"Flag {message.flag_id} of stence: probability {100 * message.probability:.1f} %, "
        f"threshold {100 * message.threshold:.1f} % ({message.rule}). "
        "Decision support for review by cardiology, not a diagnosis."
    )
    if message.status != WITHDRAWN:
        return text
    return f"{text} Withdrawn: {WITHDRAWALS.get(message.withdrawn_for or '', 'it does not hold any more')}."
