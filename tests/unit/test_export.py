"""What receivers of exports recognise flags by, and what the settings allow."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from stence.domain.targets import TARGET_NAMES
from stence.export.bundle import transaction
from stence.export.messages import Message
from stence.export.patients import PatientNames
from stence.settings import Settings
from support.fhir import validate

THEN = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
MESSAGE = Message(
    id=1,
    status="final",
    patient_id="4711",
    planned_at=THEN,
    flag_id=17,
    content_hash=bytes(32),
    target="stenosis_70",
    probability=0.4123,
    threshold=0.3,
    rule="100 alerts per 1,000 ECGs",
    raised_at=THEN,
    withdrawn_for=None,
    acquired_at=THEN,
    model_version="model 7",
    model_sha256="ab" * 32,
    card={"cards/model 7/card.md": "cd" * 32, "cards/model 7/card.html": "ef" * 32},
    run_id=uuid.UUID(int=3),
    scored_at=THEN,
    probabilities={"stenosis_70": 0.4123, "rca_70": 0.1},
)
NAMES = PatientNames("urn:uuid:00000000-0000-0000-0000-000000000001", by_number=False)


def bundled(message: Message) -> dict[str, Any]:
    """The resources of a message's bundle by their type; of two DocumentReferences the ECG's."""
    bundle = transaction(message, NAMES, "s3://bucket/prefix")
    validate(bundle)
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}


def test_identifiers_never_change() -> None:
    """A receiver would take the flag for another one."""
    assert str(MESSAGE.identifier) == "6fd87cf5-2ded-5d68-9ea7-5b7d77c01e14"
    assert MESSAGE.identifier == replace(MESSAGE, id=2, flag_id=3, status="corrected").identifier
    for other in ({"target": "rca_70"}, {"content_hash": bytes(31) + b"1"}, {"model_sha256": "0" * 64}):
        assert replace(MESSAGE, **other).identifier != MESSAGE.identifier


def test_later_messages_have_a_provenance_each_and_the_first_one_the_same_in_every_database() -> None:
    assert replace(MESSAGE, id=2).edition == MESSAGE.edition
    corrected = replace(MESSAGE, status="corrected")
    assert len({MESSAGE.edition, corrected.edition, replace(corrected, id=2).edition}) == 3


def test_the_model_leads_to_its_card() -> None:
    bundle = transaction(MESSAGE, NAMES, "s3://bucket/prefix")
    card, device = bundle["entry"][:2]
    attachment = card["resource"]["content"][0]["attachment"]
    assert attachment["url"] == "s3://bucket/prefix/cards/model%207/card.md"
    assert device["resource"]["extension"][1]["valueReference"] == {"reference": card["fullUrl"]}
    validate(transaction(replace(MESSAGE, card={}), NAMES, "s3://bucket/prefix"))


def test_what_is_not_known_is_left_out() -> None:
    unknown = replace(MESSAGE, acquired_at=None, run_id=None, scored_at=None)
    found = bundled(unknown)
    assert found["DocumentReference"]["content"] == [{"attachment": {"title": "12-lead ECG"}}]
    assert found["RiskAssessment"]["occurrenceDateTime"] == THEN.isoformat()
    assert len(found["Provenance"]["entity"]) == 2


@pytest.mark.parametrize("target", TARGET_NAMES)
def test_every_target_has_words(target: str) -> None:
    found = bundled(replace(MESSAGE, target=target, probabilities={target: 0.5}))
    assert "Stenosis of" in found["RiskAssessment"]["prediction"][0]["outcome"]["text"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fhir_url", "fhir.hospital.example"),
        ("fhir_url", "https://user:secret@fhir.hospital.example"),
        ("fhir_url", "https://fhir.hospital.example/r4?token=secret"),
        ("patient_system", "patients"),
        ("patient_system", "https://hospital.example/a|b"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(setting: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**{setting: value})  # type: ignore[arg-type]
