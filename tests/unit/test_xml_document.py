"""Hostile XML in each of the formats: a reason, at once, and nothing fetched."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from stence.ecg import Reason, UnusableEcgError
from stence.ecg.formats import decode, xml_document
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits

ROOTS = ("RestingECG", "restingecgdata", "AnnotatedECG")


def refused(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Reason:
    with pytest.raises(UnusableEcgError) as error:
        decode("ecg.xml", {"ecg.xml": content}, limits)
    return error.value.finding.reason


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://localhost/a.dtd"> %a;',
        f'<!ATTLIST a b CDATA "{"x" * 5000}">',
    ],
)
def test_declarations_are_refused(root: str, declared: str):
    content = f"<!DOCTYPE {root} [{declared}]><{root}>{'<a/>' * 1000}</{root}>".encode()
    assert refused(content) == Reason.BROKEN_HEADER


@pytest.mark.parametrize("root", ROOTS)
def test_an_undeclared_entity_is_refused(root: str):
    content = f'<!DOCTYPE {root} SYSTEM "http://localhost/a.dtd"><{root}>&a;</{root}>'.encode()
    assert refused(content) == Reason.BROKEN_HEADER


@pytest.mark.parametrize("root", ROOTS)
def test_depth_and_number_of_elements_are_limited(root: str):
    deep = "<a>" * 100_000
    assert refused(f"<{root}>{deep}".encode()) == Reason.IMPLAUSIBLE_SIZE
    limits = Limits(elements=100, nesting=3)
    for inside, reason in (
        ("<a/>" * 99, Reason.MISSING_LEADS),
        ("<a/>" * 100, Reason.IMPLAUSIBLE_SIZE),
        ("<a b='1'/>" * 50, Reason.IMPLAUSIBLE_SIZE),
        ("<a><b/></a>", Reason.MISSING_LEADS),
        ("<a><b><c/></b></a>", Reason.IMPLAUSIBLE_SIZE),
    ):
        found = refused(f"<{root}>{inside}</{root}>".encode(), limits)
        expected = {reason, Reason.UNSUPPORTED_FORMAT} if reason == Reason.MISSING_LEADS else {reason}
        assert found in expected  # a Sierra document without a version is of none that is read


@pytest.mark.slow
def test_a_flood_of_elements_stops_early():
    content = b"<RestingECG>" + b"<a/>" * 4_000_000
    tracemalloc.start()
    began = time.perf_counter()
    assert refused(content) == Reason.IMPLAUSIBLE_SIZE
    took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 20
    assert peak < 100 * 2**20


@pytest.mark.parametrize("content", [b"<RestingECG><a>", b"<RestingECG><a", b"<RestingECG><![CDATA[ a"])
def test_a_document_that_ends_early_is_truncated(content: bytes):
    assert refused(content) == Reason.TRUNCATED


@pytest.mark.parametrize(
    "content",
    [b"<RestingECG></a>", b"<RestingECG>\0", b"<RestingECG>\xff</RestingECG>", b"<RestingECG/><RestingECG/>"],
)
def test_what_is_no_xml_is_broken(content: bytes):
    assert refused(content) == Reason.BROKEN_HEADER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"<svg/>",
        b"text <RestingECG/>",
        b"<!-- <RestingECG/>",
        b"<!--" + b"-" * 9000 + b"--><RestingECG/>",
        b"<" + b"a" * 9000,
    ],
)
def test_other_documents_are_of_no_ecg_format(content: bytes):
    assert refused(content) == Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_root_in_any_encoding(encoding: str):
    text = '<?xml version="1.0"?>\n<!-- a > b -->\r\n<!DOCTYPE a [<!ENTITY b "c">]>\n<p:AnnotatedECG/>'
    assert xml_document.root_name(text.encode(encoding)) == "AnnotatedECG"
