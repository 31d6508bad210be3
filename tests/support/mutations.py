"""Mutations of files, each determined by its number: what is found once is found again."""

from __future__ import annotations

import base64
import random
import re
import struct
from collections.abc import Callable

WORDS = (
    *(b"0", b"-1", b"1e308", b"1e999", b"nan", b"inf", b"9" * 400, b"2147483647", b"4294967295", b"65536"),
    *(b"../", b"~", b"\xff\xff", b"\0", b"\x1b[2J", b"\xe2\x80\xae", b"(R)", b"(" * 3000, b"\\", b"%s"),
    *(b"\n# subject_id: ", b"\n# age: 1e9", b" 10:00:00 1/1/0001", b"16x4", b"61", b"212", b"516", b"=1+1"),
    *(b"&lt;", b"<a>" * 200, b"]]>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<![CDATA[", b"<?xml?>", b"</a>"),
)
"""Texts that have broken readers of this trade."""
NUMBERS = tuple(
    struct.pack(form, number)
    for form in ("<H", "<I", ">H", ">I")
    for number in (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    if number < 256 ** struct.calcsize(form)
)
"""Lengths and counts at the edges, in both byte orders."""
MAX_BYTES = 2**20
_ELEMENT = re.compile(rb"<([\w:]+)[^<>]*>([^<]{1,200})</|(\w+)=\"([^\"<]{0,80})\"")
_PAYLOAD = re.compile(rb">\s*([A-Za-z0-9+/=\s]{400,})<")

Edit = Callable[[random.Random, bytearray], None]


def mutated(content: bytes, seed: str) -> bytes:
    """Return the content with one to six edits by this seed, at most twice ``MAX_BYTES`` long."""
    rng = random.Random(seed)
    changed = bytearray(content)
    edits = (*_ANYWHERE, *(_OF_XML if b"<" in content[:200] else _OF_BINARY))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(edits)(rng, changed)
        del changed[2 * MAX_BYTES :]
    return bytes(changed)


def _place(rng: random.Random, content: bytearray) -> int:
    """Return a place, half of the time among the first bytes, where headers lie."""
    end = len(content) if rng.random() < 0.5 else min(len(content), 600)
    return rng.randint(0, end)


def _overwrite(rng: random.Random, content: bytearray) -> None:
    at, length = _place(rng, content), rng.randint(1, 8)
    content[at : at + length] = rng.randbytes(length)


def _flip(rng: random.Random, content: bytearray) -> None:
    if content:
        content[min(_place(rng, content), len(content) - 1)] ^= 1 << rng.randint(0, 7)


def _remove(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    del content[at : at + rng.choice((1, 2, 4, 40, 4000))]


def _repeat(rng: random.Random, content: bytearray) -> None:
    at, length = _place(rng, content), rng.choice((1, 4, 40, 4000))
    content[at:at] = content[at : at + length] * rng.choice((1, 1, 20))


def _insert_word(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    content[at : at + rng.choice((0, 0, 3))] = rng.choice(WORDS)


def _cut(rng: random.Random, content: bytearray) -> None:
    if rng.random() < 0.3:
        del content[_place(rng, content) :]


def _edge_number(rng: random.Random, content: bytearray) -> None:
    at, number = _place(rng, content), rng.choice(NUMBERS)
    content[at : at + len(number)] = number


def _move(rng: random.Random, content: bytearray) -> None:
    at, to, length = _place(rng, content), _place(rng, content), rng.choice((2, 4, 8, 64))
    content[to : to + length] = content[at : at + length]


def _element_value(rng: random.Random, content: bytearray) -> None:
    """Replace an element's text or an attribute's value."""
    found = list(_ELEMENT.finditer(content, 0, 200_000))
    if found:
        match = rng.choice(found)
        first, end = match.span(2 if match[2] is not None else 4)
        content[first:end] = rng.choice((*WORDS, b"", b"UTF-16", b"MICROVOLTS", b"V7", b"I", b"0.0000001"))


def _element_away(rng: random.Random, content: bytearray) -> None:
    found = list(_ELEMENT.finditer(content, 0, 200_000))
    if found:
        first, end = rng.choice(found).span()
        del content[first:end]


def _payload(rng: random.Random, content: bytearray) -> None:
    """Spoil decoded base64, so that the decoder behind it gets the fault."""
    found = list(_PAYLOAD.finditer(content, 0, MAX_BYTES))
    if not found:
        return
    match = rng.choice(found)
    try:
        inner = bytearray(base64.b64decode(b"".join(match[1].split())))
    except ValueError:
        return
    rng.choice((_overwrite, _edge_number, _remove, _repeat, _cut))(rng, inner)
    first, end = match.span(1)
    content[first:end] = base64.b64encode(inner)


_ANYWHERE: tuple[Edit, ...] = (_overwrite, _flip, _remove, _repeat, _insert_word, _cut)
_OF_BINARY: tuple[Edit, ...] = (_edge_number, _edge_number, _edge_number, _move)
_OF_XML: tuple[Edit, ...] = (_element_value, _element_value, _element_away, _payload, _payload)
