"""Reasons for which an angiogram cannot be used: each has a remedy, and each error of the store is one."""

from __future__ import annotations

import re

import pytest

from stence.angiography import Reason, UnusableAngiogramError
from stence.angiography.reasons import refuse
from stence.angiography.refusals import as_refused
from stence.errors import (
    ObjectError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ObjectUnreadableError,
)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_remedy(reason: Reason):
    assert re.fullmatch("it is so; .{10,}", refuse(reason, "it is so").detail)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ObjectNotFoundError("gone", "a.dcm"), Reason.OBJECT_MISSING),
        (ObjectForbiddenError("closed", "a.dcm"), Reason.OBJECT_FORBIDDEN),
        (ObjectUnreadableError("damaged", "a.dcm"), Reason.OBJECT_UNREADABLE),
        (ObjectTooLargeError("large", "a.dcm"), Reason.OBJECT_TOO_LARGE),
        (refuse(Reason.BLANK, "one grey"), Reason.BLANK),
    ],
)
def test_each_error_of_the_store_is_a_reason(
    error: ObjectError | UnusableAngiogramError, reason: Reason
) -> None:
    assert as_refused(error).reason is reason
