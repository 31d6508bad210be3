"""What a failure of boto3 means, in words.

Its own texts end here: they can hold keys, and keys can hold patient identifiers.
"""

from __future__ import annotations

from botocore import exceptions as failures

from stence.errors import (
    ConfigurationError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    StenceError,
    StoreUnavailableError,
)


class BrokenTransferError(StoreUnavailableError):
    """An answer that began well; worth another try at once."""


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
NOT_FOUND = {"NoSuchKey", "404"}
THROTTLED = {"SlowDown", "RequestTimeout", "TooManyRequests", "429"}


def meaning(failure: Exception, place: str, key: str | None) -> StenceError:
    """The error to raise in place of one of FAILURES, met at ``place`` when asking for ``key``."""
    if isinstance(failure, failures.ClientError):
        return _answer(failure, place, key)
    if isinstance(failure, BROKEN_TRANSFERS):
        return BrokenTransferError(f"{place} broke off a transfer, or its content arrived damaged")
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


def _answer(failure: failures.ClientError, place: str, key: str | None) -> StenceError:
    """The meaning of an answer of the service that is an error."""
    code = failure.response["Error"].get("Code", "")
    status = failure.response["ResponseMetadata"].get("HTTPStatusCode", 500)
    if ADVICE.get(code) == MAY_NOT and key is not None:
        return ObjectForbiddenError(f"{place}: {MAY_NOT}")
    if code in ADVICE:
        return ConfigurationError(f"{place}: {ADVICE[code]}")
    if code in NOT_FOUND and key is not None:
        return ObjectNotFoundError(f"{place} holds no object {key!r}")
    if status >= 500 or code in THROTTLED:
        return _silence(place, code)
    return ConfigurationError(
        f"{place} refused the request ({code}): check STENCE_STORE_URL and STENCE_S3_ENDPOINT_URL"
    )


def _silence(place: str, why: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{place} does not answer ({why}): check that it runs, and the network to it"
    )
