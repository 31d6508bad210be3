"""Read diagnoses from the comments of WFDB headers, in the formats of two public collections.

PhysioNet/CinC Challenge 2021 uses SNOMED CT codes, ``#Dx: 426783006,164889003``. LUDB uses words, one
diagnosis per line after ``#<diagnoses>:``, as in ``#Ischemia: inferior wall.``
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CODES = re.compile(r"#\s*Dx\s*:(.*)", re.IGNORECASE)
_WORDS_FOLLOW = re.compile(r"#\s*<diagnoses>\s*:(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Diagnoses:
    """Diagnoses of a header: ``codes`` and ``words`` (lower case); None if the header does not use them."""

    codes: frozenset[str] | None
    words: tuple[str, ...] | None

    def answer(self, terms: Sequence[str]) -> float:
        """Return 1 if the header holds any of the diagnoses ``terms``, else 0; NaN if unknown.

        The label is unknown if the header uses codes and no term is a code, or if it uses words and all terms
        are codes. A word also matches its refinements: ``Ischemia`` matches ``Ischemia: inferior wall``.
        """
        codes = {term for term in terms if term.isdigit()}
        words = tuple(term.lower() for term in terms if not term.isdigit())
        answers = []
        if codes and self.codes is not None:
            answers.append(bool(codes & self.codes))
        if words and self.words is not None:
            answers.append(any(_is_said(term, said) for term in words for said in self.words))
        return float(any(answers)) if answers else float("nan")


def read_diagnoses(header: bytes) -> Diagnoses | None:
    """Read the diagnoses in a WFDB header; None if there are none."""
    lines = [line.strip() for line in header.decode("utf-8", errors="replace").splitlines()]
    codes, words = _codes(lines), _words(lines)
    return None if codes is None and words is None else Diagnoses(codes, words)


def _codes(lines: Sequence[str]) -> frozenset[str] | None:
    found = [code.strip() for match in map(_CODES.match, lines) if match for code in match[1].split(",")]
    return frozenset(filter(str.isdigit, found)) or None


def _words(lines: Sequence[str]) -> tuple[str, ...] | None:
    """Collect the comments after the title; one line of LUDB holds two comments with a ``#`` between."""
    start = next((number for number, line in enumerate(lines) if _WORDS_FOLLOW.match(line)), None)
    if start is None:
        return None
    comments = (part for line in lines[start + 1 :] if line.startswith("#") for part in line.split("#"))
    return tuple(text for comment in comments if (text := comment.strip(" .").lower())) or None


def _is_said(term: str, said: str) -> bool:
    return said == term or said.startswith((f"{term}:", f"{term},"))
