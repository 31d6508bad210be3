"""DICOM elements (PS3.5 7) of a header, parsed by pydicom within a budget of reads and bytes.

ECGs have an index of their own, ``stence.ecg.formats.dicom_index``. pydicom builds a Python object of about
1 kB for every empty item of 8 bytes. It converts a sequence of explicit length only on access. Here all is
parsed at once, and counted against the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_partial, read_sequence
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from stence.domain.patients import PatientIdError
from stence.errors import StenceError

MAX_READS = 50_000
"""Reads per header. An element or item takes one to three."""
MAX_COPIES = 4
"""Reads of the same byte: one per level of sequences with explicit length."""
MAX_DEPTH = 8
"""Depth of nested sequences."""
MAX_TEXT_BYTES = 256
"""Size of a long string (LO): 64 characters of up to four bytes."""
MAX_VALUES_BYTES = 2**16
"""Size of a value with one number per frame."""

READS_A_CHARACTER = 10
"""Reads charged per character of a Specific Character Set."""

_CHARACTER_SET = (b"\x08\x00\x05\x00", b"\x00\x08\x00\x05")
_LONG_LENGTH = 4
_PATIENT_ID = Tag("PatientID")
_SEQUENCE_VRS = ("SQ", "UN", None)

Stop = Callable[[BaseTag, str | None, int], bool]


class TooManyElementsError(StenceError):
    """The file has more elements, or deeper sequences, than any ECG or angiogram."""

    def __init__(self) -> None:
        super().__init__("the file has more DICOM elements, or deeper sequences, than are read")


class _Budget:
    """Remaining reads and bytes for one file."""

    def __init__(self, size: int) -> None:
        self._reads = MAX_READS
        self._bytes = MAX_COPIES * size + MAX_VALUES_BYTES

    def spend(self, size: int, reads: int = 1) -> None:
        """Count a read of ``size`` bytes. Raises TooManyElementsError if the budget is spent."""
        self._reads -= reads
        self._bytes -= size
        if self.is_spent:
            raise TooManyElementsError

    @property
    def is_spent(self) -> bool:
        """True if no read is left."""
        return self._reads < 0 or self._bytes < 0


class _BoundedReader(BytesIO):
    """Bytes that are read within a budget.

    A Specific Character Set counts for many reads. pydicom looks up each of its values at once. An unknown
    value causes a warning, which takes 20 microseconds. A hostile file could have millions of such values.
    """

    def __init__(self, content: bytes, budget: _Budget) -> None:
        super().__init__(content)
        self._budget = budget
        self._of_character_set = False

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._budget.spend(len(piece), len(piece) * READS_A_CHARACTER if self._of_character_set else 1)
        if len(piece) != _LONG_LENGTH:  # a long length lies between tag and value
            self._of_character_set = piece[:4] in _CHARACTER_SET
        return piece


def read_elements(
    content: bytes, keywords: Iterable[str], sequences: Iterable[str] = (), stop: Stop | None = None
) -> FileDataset:
    """Read the elements ``keywords`` and ``sequences`` of a file, and all elements in their items.

    Sequences within items must also be in ``sequences``. ``stop`` ends the reading at an element, as in
    ``pydicom.filereader.read_partial``. Raises TooManyElementsError, and PatientIdError for a file with two
    Patient IDs, where pydicom would take the last. Other exceptions of ``pydicom`` pass through.
    """
    budget = _Budget(len(content))
    nested = frozenset(map(Tag, sequences))
    tags: list[BaseTag | int] = [*map(Tag, keywords), *nested]
    patients = 0

    def watch(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal patients
        patients += tag == _PATIENT_ID
        if patients > 1:
            raise PatientIdError("the file has two patient numbers")
        return stop is not None and stop(tag, vr, length)

    try:
        dataset = read_partial(_BoundedReader(content, budget), watch, specific_tags=tags)
        _open(dataset, nested, budget, depth=0)
    except OSError:
        if budget.is_spent:  # within an item, pydicom tells only that a read failed
            raise TooManyElementsError from None
        raise
    return dataset


def _open(dataset: Dataset, nested: frozenset[BaseTag], budget: _Budget, depth: int) -> None:
    """Parse the sequences that pydicom left as bytes."""
    for tag in nested.intersection(dataset.keys()):
        element: Any = dataset.get_item(tag)  # it may be raw, unlike in pydicom's type hints
        if isinstance(element, RawDataElement) and element.VR in _SEQUENCE_VRS and element.value:
            dataset[tag] = DataElement(tag, "SQ", _parsed(element, dataset, budget))
        inner = _items(dataset, tag)
        if inner and depth == MAX_DEPTH:
            raise TooManyElementsError
        for item in inner:
            _open(item, nested, budget, depth + 1)


def _parsed(element: RawDataElement, dataset: Dataset, budget: _Budget) -> Sequence:
    content = element.value or b""
    return read_sequence(
        _BoundedReader(content, budget),
        element.is_implicit_VR,
        element.is_little_endian,
        len(content),
        dataset.original_character_set or "iso8859",
    )


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence that ``read_elements`` parsed; an empty list for other elements."""
    return _items(dataset, Tag(keyword))


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    element = dataset.get_item(tag)
    found = element.value if isinstance(element, DataElement) else None
    return list(found) if isinstance(found, Sequence) else []


def value(dataset: Dataset, keyword: str, limit_bytes: int = MAX_TEXT_BYTES) -> Any:
    """Return the value as converted by pydicom; None if it is missing or over ``limit_bytes``."""
    element: Any = dataset.get_item(keyword)
    if element is None or (isinstance(element, RawDataElement) and len(element.value or b"") > limit_bytes):
        return None
    return dataset.get(keyword)


def text(dataset: Dataset, keyword: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the value as text without padding; empty if it is missing, no text, or over ``limit_bytes``."""
    found = value(dataset, keyword, limit_bytes)
    if isinstance(found, MultiValue):
        return "\\".join(map(str, found))
    return str(found).strip(" \0") if isinstance(found, str | int | float | PersonName) else ""


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """Return the stored bytes of the value, of any length; empty if it is missing."""
    element = dataset.get_item(keyword)
    found = None if element is None else element.value
    return found if isinstance(found, bytes) else b""
