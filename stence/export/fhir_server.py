"""A FHIR R4 server that gets each message as a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx
from pydantic import SecretStr

from stence.domain.text import plain_text
from stence.domain.urls import without_secrets
from stence.errors import ConfigurationError, ReceiverUnavailableError
from stence.export.bundle import risk_assessment_in, transaction
from stence.export.ledger import Receipt
from stence.export.messages import Message
from stence.export.patients import PatientNames
from stence.retry import retry

TIMEOUT_SECONDS = 60.0
OUTAGES = {408, 425, 429, 502, 503, 504}
NOT_ALLOWED = {401, 403}
NO_SERVER = {404, 405}
FHIR_JSON = "application/fhir+json"


class FhirServer:
    """Posts bundles. ``store_url`` leads to model cards; an outage is waited out for ``outage_seconds``."""

    def __init__(
        self, url: str, token: SecretStr | None, store_url: str, names: PatientNames, outage_seconds: float
    ) -> None:
        headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "Prefer": "return=minimal"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS)
        self._url, self._said = url, without_secrets(url)
        self._store_url, self._names, self._outage_seconds = store_url, names, outage_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def deliver(self, messages: Sequence[Message]) -> Iterator[list[Receipt]]:
        """See Channel. A message that the server refuses costs itself only."""
        for message in messages:
            bundle = transaction(message, self._names, self._store_url)
            yield [self._receipt(message, bundle, self._post(bundle))]

    def _post(self, bundle: dict[str, Any]) -> httpx.Response:
        content = json.dumps(bundle).encode()

        def attempt() -> httpx.Response:
            try:
                answer = self._client.post(self._url, content=content)
            except httpx.TransportError as error:
                raise self._unavailable(type(error).__name__) from error
            if answer.status_code in OUTAGES:
                raise self._unavailable(f"HTTP {answer.status_code}")
            return answer

        return retry(attempt, self._outage_seconds, ReceiverUnavailableError)

    def _unavailable(self, why: str) -> ReceiverUnavailableError:
        return ReceiverUnavailableError(f"The FHIR server {self._said} does not answer ({why}).")

    def _receipt(self, message: Message, bundle: dict[str, Any], answer: httpx.Response) -> Receipt:
        body, code = _body(answer), answer.status_code
        if code in NOT_ALLOWED:
            raise ConfigurationError(
                f"The FHIR server {self._said} does not allow transactions (HTTP {code}): "
                "check STENCE_FHIR_TOKEN and its rights."
            )
        if answer.is_success and body.get("type") == "transaction-response":
            return _carried_out(message, bundle, body)
        if answer.is_success or answer.is_redirect or (code in NO_SERVER and not body):
            raise ConfigurationError(
                f"{self._said} is not the base URL of a FHIR server (HTTP {code}): correct STENCE_FHIR_URL."
            )
        return Receipt(message, refusal=plain_text(f"HTTP {code} {_diagnosis(body)}"))


def _carried_out(message: Message, bundle: dict[str, Any], body: dict[str, Any]) -> Receipt:
    """Read the answer to a transaction. Some servers report an entry's failure there, against R4."""
    answers = [entry.get("response", {}) for entry in body.get("entry", ())]
    failed = [str(each.get("status")) for each in answers if not str(each.get("status")).startswith("2")]
    if failed or len(answers) != len(bundle["entry"]):
        return Receipt(message, refusal=plain_text(f"entries failed: {', '.join(failed) or 'not answered'}"))
    answer = answers[risk_assessment_in(bundle)]
    return Receipt(message, _resource(answer.get("location", "")), answer.get("etag"))


def _body(answer: httpx.Response) -> dict[str, Any]:
    """Return the FHIR resource in the answer, or nothing."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) and "resourceType" in body else {}


def _resource(location: str) -> str | None:
    """Return type and id of a location, without the server's address and the version.

    >>> _resource("https://fhir.example/r4/RiskAssessment/17/_history/2")
    'RiskAssessment/17'
    """
    return "/".join(location.partition("/_history")[0].split("/")[-2:]) or None


def _diagnosis(body: dict[str, Any]) -> str:
    """Return what an OperationOutcome says."""
    issues = body.get("issue", ())
    return "; ".join(str(issue.get("diagnostics") or issue.get("code", "")) for issue in issues)
