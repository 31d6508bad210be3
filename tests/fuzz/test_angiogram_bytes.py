"""Whatever the bytes, an angiogram ends as a key frame or in a typed reason, and the next one is decoded."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid

from stence.angiography import (
    Decoder,
    IncompleteHeaderError,
    Reason,
    UnusableAngiogramError,
    read_view,
)
from support import xa

FRAMES = xa.run()
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.JPEGBaseline8Bit,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
)
FILES = {syntax: xa.compressed(FRAMES, syntax) for syntax in SYNTAXES}
GOOD = FILES[uid.JPEGBaseline8Bit]

fuzzed = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(seconds=20, memory_bytes=2**29) as decoder:
        yield decoder


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Up to eight edits, in the header or anywhere, and perhaps a cut."""
    place = st.integers(132, 1200) | st.integers(132, len(content))
    edit = st.tuples(place, st.integers(0, 12), st.binary(max_size=12))
    bit = st.tuples(place, st.integers(0, 7))

    def apply(edits: list[tuple[int, int, bytes]], bits: list[tuple[int, int]], end: int | None) -> bytes:
        mutated = bytearray(content)
        for at, length, new in edits:
            mutated[at : at + length] = new
        for at, number in bits:
            mutated[min(at, len(mutated) - 1)] ^= 1 << number
        return bytes(mutated[:end])

    return st.builds(
        apply, st.lists(edit, max_size=4), st.lists(bit, max_size=4), st.none() | st.none() | place
    )


def ends_well(decoder: Decoder, content: bytes) -> Reason | None:
    """The reason for which the file is refused, None for none; a good file is decoded after it."""
    refused = None
    try:
        key = decoder.key_frame(content)
        assert key.pixels.ndim == 2
        assert np.isfinite(key.pixels).all()
        assert np.isfinite(key.opacification).all()
    except UnusableAngiogramError as error:
        refused = error
    assert decoder.key_frame(GOOD).index == xa.KEY_FRAME
    assert xa.PATIENT_ID not in str(refused)
    return refused.reason if refused else None


@pytest.mark.slow
@fuzzed
@given(content=st.sampled_from(SYNTAXES).flatmap(lambda syntax: damaged(FILES[syntax])))
def test_damaged_files(decoder: Decoder, content: bytes):
    ends_well(decoder, content)


@pytest.mark.slow
@fuzzed
@given(content=st.sampled_from(SYNTAXES).flatmap(lambda syntax: damaged(FILES[syntax])), whole=st.booleans())
def test_damaged_headers(content: bytes, whole: bool):
    with contextlib.suppress(UnusableAngiogramError, IncompleteHeaderError):
        view = read_view(content, whole=whole)
        assert view.frames > 1
        assert abs(view.primary_angle) <= 180
        assert abs(view.secondary_angle) <= 90


@fuzzed
@given(noise=st.binary(max_size=300))
def test_noise_is_no_angiogram(noise: bytes):
    for content in (noise, bytes(128) + b"DICM" + noise):
        with pytest.raises(UnusableAngiogramError):
            read_view(content, whole=True)


@pytest.mark.parametrize(
    ("marker", "syntax"),
    [
        (b"\xff\xc0", uid.JPEGBaseline8Bit),
        (b"\xff\xc3", uid.JPEGLosslessSV1),
        (b"\xff\xf7", uid.JPEGLSLossless),
    ],
)
@pytest.mark.parametrize("side", [10_000, 65_500])
def test_pictures_that_claim_to_be_huge(decoder: Decoder, marker: bytes, syntax: uid.UID, side: int):
    content = bytearray(FILES[syntax])
    at = 0
    while (at := content.find(marker, at + 1)) > 0:
        content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    assert ends_well(decoder, bytes(content)) is not None


def test_a_jpeg_2000_picture_that_claims_to_be_huge(decoder: Decoder):
    content = bytearray(FILES[uid.JPEG2000Lossless])
    at = 0
    while (at := content.find(b"\xff\x4f\xff\x51", at + 1)) > 0:
        content[at + 8 : at + 16] = content[at + 24 : at + 32] = struct.pack(">II", 65_000, 65_000)
    assert ends_well(decoder, bytes(content)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("frames", [7, 120])
def test_headers_that_claim_gigabytes(decoder: Decoder, syntax: uid.UID, frames: int):
    file = pydicom.dcmread(BytesIO(FILES[syntax]))
    file.Rows = file.Columns = 4096
    file.NumberOfFrames = frames
    assert ends_well(decoder, xa.content(file)) is not None


def test_a_header_of_nested_sequences(decoder: Decoder):
    """Far deeper than Python may recurse."""
    item = b"\x08\x00\x11\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    at = GOOD.index(b"\x10\x00\x10\x00PN")
    assert ends_well(decoder, GOOD[:at] + item * 50_000 + GOOD[at:]) is not None


def test_a_header_that_never_ends(decoder: Decoder):
    at = GOOD.index(b"\xe0\x7f\x10\x00")
    padding = b"\x09\x00\x01\x10OB\x00\x00" + struct.pack("<I", 2**23) + bytes(2**23)
    assert ends_well(decoder, GOOD[:at] + padding + GOOD[at:]) is Reason.IMPLAUSIBLE_SIZE
