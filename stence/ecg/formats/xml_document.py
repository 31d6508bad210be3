"""XML documents of any encoding, parsed within limits. Entities are refused, and no DTD is ever fetched."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from string import whitespace
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError
from xml.parsers.expat.errors import (
    XML_ERROR_NO_ELEMENTS,
    XML_ERROR_UNCLOSED_CDATA_SECTION,
    XML_ERROR_UNCLOSED_TOKEN,
    codes,
)

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from stence.ecg.formats.limits import Limits
from stence.ecg.reasons import Reason, refuse

_HEAD_BYTES = 2**13
"""Bytes in which the root element must start, behind comments and a document type."""
_NAME = re.compile(r"<(?:[\w.-]{1,64}:)?([\w.-]{1,64})[\s/>]")
_DECLARED = re.compile(rb"<\?xml[^>]{1,200}encoding=[\"']utf-?16", re.IGNORECASE)
_ENDS = frozenset(
    codes[error]
    for error in (XML_ERROR_NO_ELEMENTS, XML_ERROR_UNCLOSED_TOKEN, XML_ERROR_UNCLOSED_CDATA_SECTION)
)
_BUFFER_BYTES = 2**16
_MAX_TAG_BYTES = 2**20
"""Longest tag or comment. The parser gathers all attributes of a tag before any limit can apply to them."""
_MAX_NAMESPACE_CHARACTERS = 256
"""Longest namespace. The parser writes it before each name, and keeps all different names."""
_MAX_NUMBER_CHARACTERS = 32
_DAYS_A_YEAR = 365.25


def root_name(content: bytes) -> str | None:
    """Return the root element's name without its prefix; None if the bytes do not start an XML document.

    >>> root_name(b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "a.dtd"><!-- b --><p:a/>')
    'a'
    """
    text = _head(content)
    at = 0
    while (at := _next_tag(text, at)) >= 0:
        closing = _closing(text, at)
        if closing is None:
            match = _NAME.match(text, at)
            return match[1] if match else None
        end = text.find(closing, at)
        at = end + len(closing) if end >= 0 else len(text)
    return None


def parse(content: bytes, limits: Limits) -> Element:
    """Return the root element. Names are without namespaces. A document type is ignored, and never fetched.

    Raises UnusableEcgError if the document declares entities or attributes, is nested too deeply, has too
    many elements, ends too early, or is no XML.
    """
    encoding = "utf-8" if _DECLARED.match(content) else None  # UTF-16 by name only: the bytes are ASCII
    try:
        return _Parser(limits, encoding).read(content)
    except DefusedXmlException as error:
        detail = f"the XML document declares entities ({type(error).__name__}), which are not read"
        raise refuse(Reason.BROKEN_HEADER, detail) from None
    except ExpatError as error:
        reason = Reason.TRUNCATED if error.code in _ENDS else Reason.BROKEN_HEADER
        raise refuse(reason, f"the XML document cannot be parsed: {error}") from None


class _Parser(DefusedXMLParser):
    """Parser that counts elements, attributes and depth, and stops at a limit.

    Its handlers replace those of the standard library in Python, which take longer than the parsing.
    """

    def __init__(self, limits: Limits, encoding: str | None) -> None:
        builder = TreeBuilder()
        super().__init__(target=builder, encoding=encoding, forbid_entities=True, forbid_external=True)
        self._builder = builder
        self.parser.ordered_attributes = False
        self.parser.buffer_size = _BUFFER_BYTES
        self.parser.CommentHandler = len  # leaves nothing; the builder's makes an element in Python of each
        self.parser.StartDoctypeDeclHandler = self._refuse_declarations
        self.parser.StartNamespaceDeclHandler = self._check_namespace
        self.parser.StartElementHandler, self.parser.EndElementHandler = _counting(builder, limits)

    def read(self, content: bytes) -> Element:
        """Parse the document in parts, so that a tag without end is seen before it is all taken in.

        ``feed`` does not say which part is the last, and a part takes a quarter longer if it is not.
        """
        view = memoryview(content)
        for start in range(0, max(1, len(content)), _MAX_TAG_BYTES):
            end = start + _MAX_TAG_BYTES
            self.parser.Parse(view[start:end], end >= len(content))
            if start - self.parser.CurrentByteIndex > _MAX_TAG_BYTES:
                raise refuse(Reason.IMPLAUSIBLE_SIZE, f"a tag or comment of more than {_MAX_TAG_BYTES} bytes")
        return self._builder.close()

    def _check_namespace(self, _prefix: str | None, name: str | None) -> None:
        if name and len(name) > _MAX_NAMESPACE_CHARACTERS:
            detail = f"a namespace of {len(name)} characters"
            raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=len(name))

    def _refuse_declarations(
        self, _name: str, _system: str | None, _public: str | None, declares: bool
    ) -> None:
        """Refuse a document type with declarations: default attributes multiply as entities do."""
        if declares:
            raise refuse(Reason.BROKEN_HEADER, "the XML document declares entities or attributes of its own")


def _counting(
    builder: TreeBuilder, limits: Limits
) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
    """Return the handlers of a tag's start and end. They count, stop at a limit, and drop namespaces.

    Each is called for every element. Therefore both keep what they need in local variables.
    """
    start, end, most, deepest = builder.start, builder.end, limits.elements, limits.nesting
    names: dict[str, str] = {}
    count = depth = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count, depth
        depth += 1
        count += 1 + len(attributes)
        if depth > deepest:
            raise refuse(Reason.IMPLAUSIBLE_SIZE, f"elements nested more than {deepest} deep", value=depth)
        if count > most:
            detail = f"more than {most} elements and attributes"
            raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=count)
        name = names.get(tag)
        if name is None:
            name = names[tag] = tag[tag.rfind("}") + 1 :]
        start(name, attributes)

    def finish(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(tag)

    return begin, finish


def text(element: Element | None, path: str) -> str:
    """Return the stripped text of the first element at ``path``, or an empty text."""
    return "" if element is None else (element.findtext(path) or "").strip()


def attribute(element: Element | None, path: str, name: str) -> str:
    """Return an attribute of the first element at ``path``, or an empty text."""
    found = None if element is None else element.find(path)
    return "" if found is None else found.get(name, "").strip()


def number(written: str) -> float | None:
    """Return the finite number in ``written``, or None.

    >>> number("-4.88"), number("nan"), number("1_0"), number("Failed")
    (-4.88, None, None, None)
    """
    if len(written) > _MAX_NUMBER_CHARACTERS or "_" in written:
        return None
    try:
        value = float(written)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers(element: Element | None, paths: Mapping[str, str]) -> dict[str, float]:
    """Return the numbers that stand at the paths, by the names of ``paths``."""
    found = {name: number(text(element, path)) for name, path in paths.items()}
    return {name: value for name, value in found.items() if value is not None}


def required_number(element: Element | None, path: str) -> float:
    """Return the number at ``path``. Raises UnusableEcgError if there is none."""
    return required(number(text(element, path)), path)


def required(value: float | None, name: str) -> float:
    """Return ``value``. Raises UnusableEcgError if it is None."""
    if value is None:
        raise refuse(Reason.BROKEN_HEADER, f"the document does not give {name} as a number")
    return value


def whole(value: float, name: str) -> int:
    """Return ``value`` as an integer. Raises UnusableEcgError if it is none."""
    if not value.is_integer():
        raise refuse(Reason.BROKEN_HEADER, f"{name} is not an integer", value=value)
    return int(value)


def binary(element: Element | None, path: str, lead: str | None = None) -> bytes:
    """Return the bytes of the Base64 text (RFC 4648) at ``path``. Raises UnusableEcgError if it is broken."""
    try:
        written = text(element, path).encode("ascii")
        return b64decode(written.translate(None, whitespace.encode()), validate=True)
    except (Base64Error, ValueError):
        raise refuse(Reason.BROKEN_SIGNAL, f"{path} is not in Base64", lead) from None


def only_patient(written: Iterable[str]) -> str | None:
    """Return the document's patient number. Raises UnusableEcgError if the document names several."""
    named = {text for text in map(str.strip, written) if text}
    if len(named) > 1:
        raise refuse(Reason.UNREADABLE_PATIENT, "the document names several patients")
    return named.pop() if named else None


def moment(written: str, pattern: str) -> datetime | None:
    """Return the time by a pattern of ``strptime``, or None."""
    try:
        return datetime.strptime(written[:64], pattern)
    except ValueError:
        return None


def age_at(birth: datetime | None, acquired: datetime | None) -> float | None:
    """Return the age in years at the ECG from the date of birth; None if one of both is missing."""
    if birth is None or acquired is None:
        return None
    born, then = date(birth.year, birth.month, birth.day), acquired.date()
    return (then - born).days / _DAYS_A_YEAR


def _head(content: bytes) -> str:
    head = content[:_HEAD_BYTES]
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:2]
    if not wide:
        return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    encoding = "utf-16-be" if head[:2] == b"\xfe\xff" or head[:1] == b"\0" else "utf-16-le"
    return head.decode(encoding, errors="replace").removeprefix("\ufeff")


def _next_tag(text: str, at: int) -> int:
    """Return the position of the tag that follows white space only; -1 if something else follows."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at if text.startswith("<", at) else -1


def _closing(text: str, at: int) -> str | None:
    """Return the end of the comment, instruction or document type at ``at``; None for an element."""
    if text.startswith("<!--", at):
        return "-->"
    if text.startswith("<?", at):
        return "?>"
    if not text.startswith("<!", at):
        return None
    subset, end = text.find("[", at), text.find(">", at)
    return "]>" if 0 <= subset < end else ">"
