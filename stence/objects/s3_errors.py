"""What a failure of boto3 means, in words.

Its own texts end here: they can hold keys, and keys can hold patient identifiers.
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
    """No answer, or a failure as one: the store's or the object's fault; ``why`` in a word or two."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


class BrokenTransferError(UnansweredError):
    """An answer that began well; worth another try at once."""


class DamagedError(StoreUnavailableError):
    """The content is not what the store's own checksum says: a part of it cannot be kept."""


class UnexpectedAnswerError(ConfigurationError):
    """A refusal that says nothing clear: a wrong address, or something about the object."""

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
OTHER_REGION = "the bucket lies in another region; mend STENCE_S3_REGION"
ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or mend STENCE_STORE_URL",
    "InvalidAccessKeyId": "it does not know the access key; mend STENCE_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong; mend STENCE_S3_SECRET_KEY",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidToken": "the credentials are not valid; renew them",
    "AccessDenied": MAY_NOT,
    "403": MAY_NOT,
    "RequestTimeTooSkewed": "this machine's clock is wrong; set up NTP",
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
}
ARCHIVED = "it is archived; restore it in the store, then retry"
KEY_DISABLED = "the key that it is encrypted with cannot be used; enable it, then retry"
NOT_FOUND = {"NoSuchKey", "404"}
THROTTLED = {"SlowDown", "RequestTimeout", "TooManyRequests", "429"}


def meaning(failure: Exception, place: str, key: str | None) -> StenceError:
    """The error to raise in place of one of FAILURES, met at ``place`` when asking for ``key``."""
    if isinstance(failure, failures.ClientError):
        return _answer(failure, place, key)
    if isinstance(failure, BROKEN_TRANSFERS):
        return _broken(failure, place)
    if isinstance(failure, WITHOUT_CREDENTIALS):
        return ConfigurationError(
            f"{place}: no credentials; set STENCE_S3_ACCESS_KEY and STENCE_S3_SECRET_KEY, "
            "or what boto3 looks for (AWS_PROFILE, a role)"
        )
    if isinstance(failure, failures.SSLError):
        return ConfigurationError(f"{place} shows a certificate not trusted here: set AWS_CA_BUNDLE")
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
    """Whether a failure is an answer that only a store that works gives: there is no byte, or no object."""
    if not isinstance(failure, failures.ClientError):
        return False
    code = failure.response["Error"].get("Code", "")
    return code in NOT_FOUND | {"InvalidRange", "416", "InvalidObjectState"}


def _answer(failure: failures.ClientError, place: str, key: str | None) -> StenceError:
    """The meaning of an answer of the service that is an error."""
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
    """The meaning of an answer that is clearly about one object, None of any other."""
    if ADVICE.get(code) == MAY_NOT:
        return ObjectForbiddenError(f"{place}: {MAY_NOT}", key)
    if code in NOT_FOUND:
        return ObjectNotFoundError(f"{place} holds no such object", key)
    if code == "InvalidObjectState":
        return ObjectUnreadableError(f"{place}: {ARCHIVED}", key)
    return ObjectUnreadableError(f"{place}: {KEY_DISABLED}", key) if code.startswith("KMS") else None


def _silence(place: str, why: str) -> UnansweredError:
    return UnansweredError(f"{place} does not answer ({why}): check that it runs, and the network to it", why)
