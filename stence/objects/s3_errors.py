"""Translate boto3 failures into stence's errors.

The texts of boto3 are dropped, because they can hold keys, and keys can hold patient identifiers.
"""

from __future__ import annotations

from botocore import exceptions as failures

from stence.errors import (
    ConfigurationError,
    ObjectError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StenceError,
    StoreUnavailableError,
)


class UnansweredError(StoreUnavailableError):
    """No answer, or a server error, caused by the store or by the object; ``why`` in a few words."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


class BrokenTransferError(UnansweredError):
    """An interrupted answer; it is retried at once."""


class DamagedError(StoreUnavailableError):
    """The content does not match the store's checksum, so no part of it can be used."""


class UnexpectedAnswerError(ConfigurationError):
    """An unclear refusal: a wrong address, or a fault of the object."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


FAILURES = (failures.ClientError, failures.BotoCoreError)
BROKEN_TRANSFERS = (
    failures.IncompleteReadError,
    failures.ResponseStreamingError,
    failures.FlexibleChecksumError,
)
SILENCE = (failures.ConnectionError, failures.HTTPClientError)
WITHOUT_CREDENTIALS = (
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.CredentialRetrievalError,
    failures.ProfileNotFound,
)
MAY_NOT = "these credentials may not do this; grant them listing, reading, writing and deleting"
OTHER_REGION = "the bucket is in another region; correct STENCE_S3_REGION"
ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or correct STENCE_STORE_URL",
    "InvalidAccessKeyId": "the access key is unknown; correct STENCE_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong; correct STENCE_S3_SECRET_KEY",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidToken": "the credentials are not valid; renew them",
    "AccessDenied": MAY_NOT,
    "403": MAY_NOT,
    "RequestTimeTooSkewed": "this machine's clock is wrong; set up NTP",
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
}
ARCHIVED = "it is archived; restore it in the store, then retry"
KEY_DISABLED = "the key that it is encrypted with cannot be used; enable the key, then retry"
NOT_FOUND = {"NoSuchKey", "404"}
THROTTLED = {"SlowDown", "RequestTimeout", "TooManyRequests", "429"}


def meaning(failure: Exception, place: str, key: str | None) -> StenceError:
    """Return the error to raise instead of one of FAILURES at ``place`` for a request of ``key``."""
    if isinstance(failure, failures.ClientError):
        return _answer(failure, place, key)
    if isinstance(failure, BROKEN_TRANSFERS):
        return _broken(failure, place)
    if isinstance(failure, WITHOUT_CREDENTIALS):
        return ConfigurationError(
            f"{place}: no credentials; set STENCE_S3_ACCESS_KEY and STENCE_S3_SECRET_KEY, "
            "or another source of boto3 (AWS_PROFILE, a role)"
        )
    if isinstance(failure, failures.SSLError):
        return ConfigurationError(
            f"{place} has a certificate that is not trusted here: set STENCE_S3_CA_FILE"
        )
    if isinstance(failure, SILENCE):
        return _silence(place, type(failure).__name__)
    return ConfigurationError(
        f"{place} cannot be used as an S3 service ({type(failure).__name__}): "
        "check STENCE_STORE_URL, STENCE_S3_ENDPOINT_URL and STENCE_S3_REGION"
    )


def _broken(failure: Exception, place: str) -> StenceError:
    if isinstance(failure, failures.FlexibleChecksumError):
        return DamagedError(f"{place}: the content of an object arrived damaged")
    why = "the transfer breaks off"
    return BrokenTransferError(f"{place}: {why}", why)


def is_about_the_object(failure: Exception) -> bool:
    """True if only a working store gives this answer: the object is empty, missing or archived."""
    if not isinstance(failure, failures.ClientError):
        return False
    code = failure.response["Error"].get("Code", "")
    return code in NOT_FOUND | {"InvalidRange", "416", "InvalidObjectState"}


def _answer(failure: failures.ClientError, place: str, key: str | None) -> StenceError:
    """Translate an error response of the service."""
    code = failure.response["Error"].get("Code", "")
    status = failure.response["ResponseMetadata"].get("HTTPStatusCode", 500)
    about_object = None if key is None else _about_object(code, place, key)
    if about_object is not None:
        return about_object
    if code in ADVICE:
        return ConfigurationError(f"{place}: {ADVICE[code]}")
    if code in THROTTLED:
        return StoreUnavailableError(f"{place} asks for fewer requests ({code})")
    if status >= 500:
        return _silence(place, f"{status} {code}")
    return UnexpectedAnswerError(
        f"{place} refused the request ({code}): check STENCE_STORE_URL and STENCE_S3_ENDPOINT_URL", code
    )


def _about_object(code: str, place: str, key: str) -> ObjectError | None:
    """Translate an error response that concerns one object; None for any other."""
    if ADVICE.get(code) == MAY_NOT:
        return ObjectForbiddenError(f"{place}: {MAY_NOT}", key)
    if code in NOT_FOUND:
        return ObjectNotFoundError(f"{place} holds no such object", key)
    if code == "InvalidObjectState":
        return ObjectUnreadableError(f"{place}: {ARCHIVED}", key)
    return ObjectUnreadableError(f"{place}: {KEY_DISABLED}", key) if code.startswith("KMS") else None


def _silence(place: str, why: str) -> UnansweredError:
    return UnansweredError(f"{place} does not answer ({why}): check that it runs, and the network to it", why)
